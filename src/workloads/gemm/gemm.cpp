// SPDX-License-Identifier: BSD-3-Clause
// The pure half of gemm: keys, examples, validation, cost.
#include "workloads/gemm/gemm.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace dlscale {
namespace {

double element_bytes(const Params& params) {
  const std::string& dtype = params.text("dtype");
  if (dtype == "f64") return 8;
  if (dtype == "f32" || dtype == "tf32") return 4;
  return dtype == "bf16" || dtype == "f16" ? 2 : 1;
}
double output_bytes(const Params& params) {
  const std::string& dtype = params.text("dtype");
  return dtype == "int8" ? 4 : dtype == "fp8" ? 2 : element_bytes(params);
}

Params example(std::int64_t m, std::int64_t n, std::int64_t k, const std::string& dtype,
               const char* trans_a, const char* trans_b, double alpha, double beta) {
  Params p;
  p.set("m", m);
  p.set("n", n);
  p.set("k", k);
  p.set("dtype", dtype);
  p.set("trans_a", std::string(trans_a));
  p.set("trans_b", std::string(trans_b));
  p.set("alpha", alpha);
  p.set("beta", beta);
  return p;
}

}  // namespace

GemmShape gemm_shape(const Params& params) {
  return {.m = params.integer("m"),
          .n = params.integer("n"),
          .k = params.integer("k"),
          .trans_a = params.text("trans_a") == "T",
          .trans_b = params.text("trans_b") == "T",
          .alpha = params.number("alpha"),
          .beta = params.number("beta")};
}

std::vector<Key> gemm_keys(std::vector<std::string> dtypes) {
  constexpr double largest = 2147483647.0;  // BLAS takes 32-bit integers
  return {
      {"m", std::int64_t{1024}, "rows of op(A) and C", 1.0, largest, {}},
      {"n", std::int64_t{1024}, "columns of op(B) and C", 1.0, largest, {}},
      {"k", std::int64_t{1024}, "columns of op(A), rows of op(B)", 1.0, largest, {}},
      {"dtype", std::string("f64"), "type of A, B and C", {}, {}, std::move(dtypes)},
      {"trans_a", std::string("N"), "op(A): N = A, T = A transposed", {}, {}, {"N", "T"}},
      {"trans_b", std::string("N"), "op(B): N = B, T = B transposed", {}, {}, {"N", "T"}},
      {"alpha", 1.0, "factor of the product", -1e6, 1e6, {}},
      {"beta", 0.0, "factor of the old C; repetitions compound, so at most 1 in size", -1.0, 1.0, {}},
  };
}

std::vector<Params> gemm_examples(const std::vector<std::string>& dtypes) {
  std::vector<Params> list;
  for (const std::string& dtype : dtypes)
    for (const char* ta : {"N", "T"})
      for (const char* tb : {"N", "T"}) {
        list.push_back(example(1, 1, 1, dtype, ta, tb, 1, 0));
        list.push_back(example(1, 7, 13, dtype, ta, tb, 1, 1));
        list.push_back(example(31, 1, 5, dtype, ta, tb, -0.5, 0.25));
        list.push_back(example(17, 29, 1, dtype, ta, tb, 2, -1));
        list.push_back(example(61, 37, 83, dtype, ta, tb, 1, 0));
        list.push_back(example(128, 96, 257, dtype, ta, tb, 1.5, -0.5));
      }
  return list;
}

std::string gemm_validate(const Params& params) {
  const GemmShape s = gemm_shape(params);
  std::int64_t product = 0;
  if (__builtin_mul_overflow(s.m, s.n, &product) || __builtin_mul_overflow(product, s.k, &product) ||
      __builtin_mul_overflow(product, std::int64_t{2}, &product))
    return sentence(fmt::format("m·n·k overflows: m={} n={} k={}", s.m, s.n, s.k),
                    "2·m·n·k must fit into 63 bits", "choose smaller m, n or k");
  if (s.alpha == 0 && s.beta == 0)
    return sentence("alpha and beta are both 0", "nothing would be computed", "choose alpha ≠ 0");
  return {};
}

Cost gemm_cost(const Params& params, int, int) {
  const GemmShape s = gemm_shape(params);
  const auto m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  const double inputs = element_bytes(params) * (m * k + k * n);
  const double output = output_bytes(params) * m * n;
  return {.flops = 2 * m * n * k,
          .bytes_touched = inputs + (s.beta == 0 ? 1 : 2) * output,
          .bytes_sent = 0,
          .memory_bytes = inputs + output};
}

std::vector<Roof> gemm_roofs(const Params& params) {
  Roof fma{"fma", {}};
  fma.params.set("dtype", params.text("dtype"));
  return {fma, Roof{"triad", {}}};
}

}  // namespace dlscale
