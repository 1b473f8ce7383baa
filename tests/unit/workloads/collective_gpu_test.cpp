// SPDX-License-Identifier: BSD-3-Clause
// The pure half of collective on GPUs, and the half-precision numbers its checks are made of.
#include <cmath>
#include <limits>
#include <set>

#include "comm/f16.hpp"
#include "dlscale_catch.hpp"
#include "workloads/contract.hpp"

using namespace dlscale;

namespace {

const Entry& entry() {
  return *find_entry("collective", "cuda");
}

Params collective(const char* op, const char* dtype, bool in_place, const char* implementation) {
  Params p;
  p.set("op", std::string(op));
  p.set("bytes", std::int64_t{4096});
  p.set("dtype", std::string(dtype));
  p.set("in_place", in_place);
  p.set("implementation", std::string(implementation));
  return p;
}

}  // namespace

TEST_CASE("collective on GPUs: NCCL unless told otherwise, and what neither library can do") {
  REQUIRE(find_entry("collective", "cuda") != nullptr);
  for (const Key& key : entry().keys)
    if (key.name == "implementation") CHECK(std::get<std::string>(key.default_value) == "nccl");
  const auto refused = [](const char* op, const char* dtype, bool in_place, const char* by) {
    return entry().validate(collective(op, dtype, in_place, by));
  };
  CHECK(refused("allreduce", "f16", true, "nccl").empty());
  CHECK(refused("alltoall", "f32", false, "nccl").empty());
  CHECK(refused("alltoall", "f32", true, "mpi").empty());
  CHECK(refused("alltoall", "f32", true, "nccl").find("in_place") != std::string::npos);
  CHECK(refused("allreduce", "f16", false, "mpi").find("f16") != std::string::npos);
  CHECK(!refused("broadcast", "f32", true, "nccl").empty());
}

TEST_CASE(
    "collective on GPUs: every example is valid, and all pairs of library, operation and type occur") {
  std::set<std::string> seen;
  for (const Params& p : entry().examples()) {
    CHECK(entry().validate(p).empty());
    seen.insert(p.text("implementation") + p.text("op") + p.text("dtype"));
  }
  CHECK(seen.size() == 5 * 4 + 5 * 3);
}

TEST_CASE("collective on GPUs: the input that a sample begins with is counted") {
  const auto memory = [](const char* op, bool in_place) {
    return entry().cost(collective(op, "f32", in_place, "nccl"), 4, 1).memory_bytes;
  };
  CHECK(memory("allreduce", false) == 8192);
  CHECK(memory("allreduce", true) == 8192);
  CHECK(memory("allgather", true) == 4096 + 1024);
  CHECK(memory("broadcast", false) == 8192);
}

TEST_CASE("half precision: every number comes back, and rounding is to nearest, ties to even") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 half{static_cast<std::uint16_t>(bits)};
    const float wide = to_float(half);
    const std::uint16_t back = to_f16(wide).bits;
    if (std::isnan(wide) ? !std::isnan(to_float(F16{back})) : back != half.bits) FAIL("lost: " << bits);
  }
  CHECK(to_float(F16{0x3c00}) == 1.0F);
  CHECK(to_float(F16{0x0001}) == 0x1p-24F);
  CHECK(to_float(F16{0x7bff}) == 65504.0F);
  CHECK(to_f16(2049.0F).bits == to_f16(2048.0F).bits);  // halfway: to even
  CHECK(to_f16(2051.0F).bits == to_f16(2052.0F).bits);
  CHECK(to_f16(65519.0F).bits == 0x7bff);
  CHECK(to_f16(65520.0F).bits == 0x7c00);
  CHECK(to_f16(-std::numeric_limits<float>::infinity()).bits == 0xfc00);
  CHECK(to_f16(0x1.8p-25F).bits == 1);
  CHECK(to_f16(0x1p-25F).bits == 0);  // halfway to nothing
  CHECK(to_f16(std::nextafter(0x1p-14F, 0.0F)).bits == 0x0400);
}
