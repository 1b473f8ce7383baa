// SPDX-License-Identifier: BSD-3-Clause
/// C = α·op(A)·op(B) + β·C, column-major, on every rank by itself. op(A) is m×k, op(B) is k×n, C is m×n.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/random.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// Shape and scalars, as read from the case.
struct GemmShape {
  std::int64_t m = 1, n = 1, k = 1;
  bool trans_a = false, trans_b = false;
  double alpha = 1, beta = 0;

  std::int64_t a_rows() const { return trans_a ? k : m; }  ///< of A as stored
  std::int64_t a_cols() const { return trans_a ? m : k; }
  std::int64_t b_rows() const { return trans_b ? n : k; }
  std::int64_t b_cols() const { return trans_b ? k : n; }
};
GemmShape gemm_shape(const Params& params);

/// The pure half, shared by all variants. `dtypes` are the types the variant offers.
std::vector<Key> gemm_keys(std::vector<std::string> dtypes);
std::vector<Params> gemm_examples(const std::vector<std::string>& dtypes);
std::string gemm_validate(const Params& params);
Cost gemm_cost(const Params& params, int ranks, int threads);
std::vector<Roof> gemm_roofs(const Params& params);

/// Streams of the seeded data (device/random.hpp): element i of the column-major array is
/// uniform_at(key, i).
enum class GemmOperand : std::uint64_t { a = 1, b = 2, c = 3 };

/// Unit roundoff of the accumulation and of the output.
struct GemmPrecision {
  double accumulate, output;
};

/// Unit roundoff of a type.
template <class T>
constexpr double unit_roundoff = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;

/// Everything verification needs; spans are column-major and dense.
template <class T>
struct GemmResult {
  GemmShape shape;
  std::uint64_t seed = 0;
  std::int64_t repetitions = 1;  ///< executions since C was filled: with β ≠ 0 they compound
  std::span<const T> a, b, c;
  /// Element of C₀ as it was stored, where that is not uniform_at(key, index) rounded to T.
  double (*stored)(std::uint64_t key, std::uint64_t index) = nullptr;
};
/// Element `index` of C₀.
template <class T>
double gemm_c0(const GemmResult<T>& result, std::uint64_t key, std::uint64_t index) {
  return result.stored != nullptr ? result.stored(key, index)
                                  : static_cast<double>(static_cast<T>(uniform_at(key, index)));
}

/// Columns of X in the residual check, and the stream of its signs: sign_at(key, row · columns +
/// column).
constexpr int gemm_probe_columns = 4;
constexpr std::uint64_t gemm_probe_stream = 0x58;

/// Largest |R| that rounding explains: docs/metrics.md, "Verifying GEMM".
double gemm_residual_tolerance(const GemmShape& shape, std::int64_t repetitions,
                               GemmPrecision precision);

/// What the repetitions make of the factors: C = α·sum·op(A)·op(B) + power·C₀, sum = Σβⁱ, power = βʳ.
template <class W>
struct GemmFactors {
  W sum = 0, power = 1;
};
template <class W>
GemmFactors<W> gemm_factors(double beta, std::int64_t repetitions) {
  GemmFactors<W> f;
  for (std::int64_t i = 0; i < repetitions; ++i) {
    f.sum += f.power;
    f.power *= static_cast<W>(beta);
    if (beta == 0) break;
  }
  return f;
}

/// Residual check at full size: R = C·X − (α·s·op(A)(op(B)·X) + βʳ·C₀·X) for X of four ±1 columns, s =
/// Σβⁱ, i < r; max|R| ≤ tolerance. Evaluated in double for float data and in long double for double
/// data, so that the check's own rounding does not count. docs/metrics.md derives the tolerance.
template <class T>
Check gemm_check(const GemmResult<T>& result, GemmPrecision precision);

/// The loop a student would write, in float64: op(A)·op(B) for one element.
template <class T>
double gemm_reference_element(const GemmResult<T>& result, std::int64_t row, std::int64_t column);

/// One element of C against what it must be, given op(A)·op(B) and C₀ there in float64.
struct GemmElementError {
  double error = 0, tolerance = 0;
  double ratio() const;
};
GemmElementError gemm_element_error(const GemmShape& shape, std::int64_t repetitions,
                                    GemmPrecision precision, double product, double c0, double value);

/// Every element against the reference, |C − C_ref| ≤ (k + 2)·u·(|α|·|op(A)|·|op(B)| + |β·C₀|) per
/// repetition (Higham, Accuracy and Stability, §3.5). O(m·n·k): for small cases.
/// Whether a case is small enough to be followed element by element through all its repetitions: a
/// moment's work.
bool gemm_checks_elements(const GemmShape& shape, std::int64_t repetitions);

template <class T>
Check gemm_check_elements(const GemmResult<T>& result, GemmPrecision precision);

}  // namespace dlscale
