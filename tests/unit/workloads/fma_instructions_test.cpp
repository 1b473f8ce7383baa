// SPDX-License-Identifier: BSD-3-Clause
// The roof is one only if its loop holds nothing but multiply-adds: the emitted instructions are
// checked.
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "dlscale_catch.hpp"
#include "workloads/fma/fma_kernels.hpp"

using namespace dlscale;

namespace {

// Instructions of each fma_* function of this very program.
[[maybe_unused]] std::map<std::string, std::vector<std::string>> disassemble() {
  std::map<std::string, std::vector<std::string>> functions;
  // Symbols of the anonymous namespace are kept by name in the object's symbol table.
  FILE* pipe = popen("objdump -d --no-show-raw-insn -C /proc/$PPID/exe 2>/dev/null", "r");
  if (pipe == nullptr) return functions;
  std::string current;
  std::array<char, 512> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) {
    const std::string text(line.data());
    if (text.find(">:") != std::string::npos) {
      const std::size_t at = text.find("::fma_");
      current = at == std::string::npos ? "" : text.substr(at + 2, text.find('(', at) - at - 2);
    } else if (!current.empty() && text.find('\t') != std::string::npos) {
      functions[current].push_back(text);
    }
  }
  pclose(pipe);
  return functions;
}

unsigned long address_of(const std::string& line) {
  return std::stoul(line, nullptr, 16);
}

// The innermost loop that holds a multiply-add: from the target of a backward jump to the jump.
[[maybe_unused]] std::vector<std::string> hot_loop(const std::vector<std::string>& lines,
                                                   const std::string& multiply) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t jump = lines[i].find("\tjne");
    if (jump == std::string::npos) continue;
    const unsigned long target = std::stoul(lines[i].substr(jump + 4), nullptr, 16);
    if (target >= address_of(lines[i])) continue;
    std::vector<std::string> loop;
    bool has_multiply = false;
    for (const std::string& line : lines)
      if (address_of(line) >= target && address_of(line) <= address_of(lines[i])) {
        loop.push_back(line);
        has_multiply = has_multiply || line.find(multiply) != std::string::npos;
      }
    if (has_multiply) return loop;
  }
  return {};
}

}  // namespace

TEST_CASE("the roof's loops hold multiply-adds of full width and touch no memory") {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && defined(__OPTIMIZE__)
  const auto functions = disassemble();
  struct Expected {
    const char *function, *instruction, *register_name;
    int count;
  };
  for (const Expected& e : {Expected{"fma_f64_avx512", "vfmadd", "%zmm", 16},
                            {"fma_f32_avx512", "vfmadd", "%zmm", 16},
                            {"fma_bf16_avx512", "vdpbf16ps", "%zmm", 16},
                            {"fma_f64_avx2", "vfmadd", "%ymm", 12},
                            {"fma_f32_avx2", "vfmadd", "%ymm", 12},
                            {"fma_f64_sse2", "mulpd", "%xmm", 12},
                            {"fma_f32_sse2", "mulps", "%xmm", 12}}) {
    CAPTURE(e.function);
    REQUIRE(functions.contains(e.function));
    const auto loop = hot_loop(functions.at(e.function), e.instruction);
    REQUIRE_FALSE(loop.empty());
    int multiplies = 0;
    for (const std::string& line : loop) {
      if (line.find(e.instruction) != std::string::npos &&
          line.find(e.register_name) != std::string::npos)
        ++multiplies;
      CAPTURE(line);
      CHECK(line.find("(%") == std::string::npos);  // an operand in memory
    }
    CHECK(multiplies == e.count);
  }
#else
  WARN("not an optimised x86-64 build: the emitted instructions are not judged");
#endif
}

TEST_CASE("the bf16 kernel counts its products") {
  for (const FmaKernel& kernel : available_fma_kernels("bf16")) {
    CHECK(kernel.run(0, 1, 1) == 0);
    CHECK(kernel.run(1, 1, 1) == kernel.chains);
    CHECK(kernel.run(1000, 0.5, 3) == 1500.0 * kernel.chains);
  }
}

TEST_CASE("every kernel of this processor counts its iterations") {
  for (const char* dtype : {"f64", "f32"})
    for (const FmaKernel& kernel : available_fma_kernels(dtype)) {
      CAPTURE(kernel.name, dtype);
      // v ← v·0.5 + 1 from 0: 1, 1.5, 1.75 … in every chain
      CHECK(kernel.run(0, 0.5, 1) == 0);
      CHECK(kernel.run(1, 0.5, 1) == kernel.chains);
      CHECK(kernel.run(3, 0.5, 1) == 1.75 * kernel.chains);
    }
}
