// SPDX-License-Identifier: BSD-3-Clause
// What a GPU's product must fulfil, on products made here with its types' roundings.
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "workloads/gemm/gemm_gpu.hpp"

using namespace dlscale;

namespace {

// To `bits` of significand, ties to even.
double rounded(double x, int bits) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
}

struct Types {
  const char* dtype;
  int input_bits, output_bits;
};
constexpr Types narrow_types[] = {{"tf32", 11, 24}, {"bf16", 8, 8}, {"f16", 11, 11}, {"fp8", 4, 8}};

double stored_bf16(std::uint64_t key, std::uint64_t index) {
  return rounded(uniform_at(key, index), 8);
}

struct Product {
  GemmShape shape;
  std::vector<float> a, b, c;
  GemmResult<float> result(double (*stored)(std::uint64_t, std::uint64_t) = nullptr) const {
    return {shape, 42, 1, a, b, c, stored};
  }
};

std::vector<float> operand(std::int64_t count, GemmOperand which) {
  std::vector<float> values(static_cast<std::size_t>(count));
  fill_uniform(std::span(values), 42, static_cast<std::uint64_t>(which));
  return values;
}

// As a tensor core does it: operands rounded, sums in float32, the result rounded.
Product make_product(const Types& types, std::int64_t n, double beta = 0) {
  Product p;
  p.shape = {.m = n, .n = n, .k = n, .trans_a = true, .trans_b = false, .alpha = 1, .beta = beta};
  p.a = operand(n * n, GemmOperand::a);
  p.b = operand(n * n, GemmOperand::b);
  const std::string dtype = types.dtype;
  const bool keeps = dtype == "tf32";  // its operands are float32 in memory
  std::vector<float> a = p.a, b = p.b;
  for (std::vector<float>* values : {&a, &b})
    for (float& v : *values) v = static_cast<float>(rounded(static_cast<double>(v), types.input_bits));
  if (!keeps) std::tie(p.a, p.b) = std::pair(a, b);
  const auto un = static_cast<std::size_t>(n);
  const std::uint64_t c_key = stream_key(42, static_cast<std::uint64_t>(GemmOperand::c));
  p.c.resize(un * un);
  for (std::size_t j = 0; j < un; ++j)
    for (std::size_t i = 0; i < un; ++i) {
      float sum = 0;
      for (std::size_t l = 0; l < un; ++l) sum += a[l + i * un] * b[l + j * un];
      if (beta != 0) sum += static_cast<float>(beta * stored_bf16(c_key, i + j * un));
      p.c[i + j * un] = static_cast<float>(rounded(static_cast<double>(sum), types.output_bits));
    }
  return p;
}

}  // namespace

TEST_CASE("products with a GPU's roundings pass, and what is wrong with them fails") {
  constexpr std::int64_t n = 320;
  const Types types = GENERATE(from_range(std::begin(narrow_types), std::end(narrow_types)));
  Product p = make_product(types, n);
  const auto un = static_cast<std::size_t>(n);
  const GemmPrecision precision = gemm_gpu_precision(types.dtype);
  const Check clean = gemm_check(p.result(), precision);
  INFO(types.dtype << " clean: " << clean.error << " of " << clean.tolerance);
  CHECK(clean.passed());
  CHECK(clean.error > 0.005 * clean.tolerance);  // not so wide that anything passes

  const std::vector<float> good = p.c;
  const auto planted = [&](const char* what, const std::function<void(std::vector<float>&)>& damage) {
    damage(p.c);
    const Check check = gemm_check(p.result(), precision);
    INFO(what << ": error " << check.error << " tolerance " << check.tolerance);
    CHECK_FALSE(check.passed());
    p.c = good;
  };
  planted("skipped k-panel", [&](std::vector<float>& c) {
    for (std::size_t j = 0; j < un; ++j)
      for (std::size_t i = 0; i < un; ++i)
        for (std::size_t l = 64; l < 128; ++l) c[i + j * un] -= p.a[l + i * un] * p.b[l + j * un];
  });
  planted("unwritten tile", [&](std::vector<float>& c) {
    for (std::size_t j = 64; j < 128; ++j)
      for (std::size_t i = 128; i < 192; ++i) c[i + j * un] = 0;
  });
  planted("swapped rows", [&](std::vector<float>& c) {
    for (std::size_t j = 0; j < un; ++j) std::swap(c[17 + j * un], c[123 + j * un]);
  });
  planted("NaN", [&](std::vector<float>& c) { c[7] = std::numeric_limits<float>::quiet_NaN(); });
  planted("all zero", [&](std::vector<float>& c) { std::fill(c.begin(), c.end(), 0.0F); });
}

TEST_CASE("fp8 is skipped on GPUs that have none, all other types never") {
  CHECK(gemm_gpu_problem("fp8", 80) ==
        "fp8 can't be multiplied on this GPU (its compute capability is 8.0, fp8 needs 8.9) use another "
        "dtype");
  CHECK(gemm_gpu_problem("fp8", 89).empty());
  CHECK(gemm_gpu_problem("fp8", 100).empty());
  for (const char* dtype : {"f64", "f32", "tf32", "bf16", "f16", "int8"})
    CHECK(gemm_gpu_problem(dtype, 80).empty());
}

TEST_CASE("a coarser type than the one asked for is seen") {
  const auto judged = [](const Types& as, const char* dtype) {
    return gemm_check(make_product(as, 192).result(), gemm_gpu_precision(dtype));
  };
  CHECK_FALSE(judged({"tf32", 11, 24}, "f32").passed());  // TF32 where float32 was asked for
  CHECK_FALSE(judged({"tf32", 8, 8}, "tf32").passed());   // bf16 where TF32 was
  CHECK(judged({"tf32", 24, 24}, "f32").passed());
}

TEST_CASE("an old C is compared as it was stored") {
  const Product p = make_product({"bf16", 8, 8}, 128, 0.5);
  const GemmPrecision precision = gemm_gpu_precision("bf16");
  CHECK(gemm_check(p.result(stored_bf16), precision).passed());
  CHECK(gemm_check_elements(p.result(stored_bf16), precision).passed());
  // Without β·C₀ the product alone is wrong.
  Product without = make_product({"bf16", 8, 8}, 128, 0);
  without.shape.beta = 0.5;
  CHECK_FALSE(gemm_check(without.result(stored_bf16), precision).passed());
}

TEST_CASE("gemm on a GPU: what can't be computed is refused, memory counts all sets of operands") {
  const Entry* entry = find_entry("gemm", "cuda");
  REQUIRE(entry != nullptr);
  Params p = entry->examples().front();
  const auto problem = [&](const char* dtype, const char* ta, const char* tb, std::int64_t k,
                           const char* layout = "column", double beta = 0) {
    p.set("dtype", std::string(dtype));
    p.set("trans_a", std::string(ta));
    p.set("trans_b", std::string(tb));
    p.set("layout", std::string(layout));
    p.set("alpha", 1.0);
    p.set("beta", beta);
    for (const char* key : {"m", "n"}) p.set(key, std::int64_t{64});
    p.set("k", k);
    return entry->validate(p);
  };
  CHECK(problem("fp8", "T", "N", 64).empty());
  CHECK(problem("fp8", "N", "T", 64, "row").empty());
  CHECK(problem("fp8", "N", "N", 64).find("trans_a = \"T\"") != std::string::npos);
  CHECK(problem("int8", "T", "N", 64, "row").find("trans_a = \"N\"") != std::string::npos);
  CHECK(problem("fp8", "T", "N", 72).find("multiples of 16") != std::string::npos);
  CHECK(problem("int8", "T", "N", 72).empty());
  CHECK(problem("int8", "T", "N", 70).find("multiples of 4") != std::string::npos);
  CHECK(problem("int8", "T", "N", 200000).find("32 bits") != std::string::npos);
  CHECK(problem("int8", "T", "N", 64, "column", 1).find("beta = 0") != std::string::npos);
  CHECK(problem("bf16", "N", "N", 77, "row", -1).empty());

  CHECK(problem("bf16", "N", "N", 64).empty());
  CHECK(gemm_operand_sets(p) == gemm_most_sets);
  for (const char* key : {"m", "n", "k"}) p.set(key, std::int64_t{8192});
  CHECK(gemm_operand_sets(p) == 1);
  CHECK(entry->cost(p, 1, 1).memory_bytes == 3.0 * 2 * 8192 * 8192);
  for (const char* key : {"m", "n", "k"}) p.set(key, std::int64_t{4096});
  CHECK(gemm_operand_sets(p) == 3);
  p.set("beta", 1.0);  // repetitions compound in one C
  CHECK(gemm_operand_sets(p) == 1);
}
