// SPDX-License-Identifier: BSD-3-Clause
// Naive, obvious, slow: the specification of gemm.
#include <algorithm>
#include <cmath>

#include "device/random.hpp"
#include "workloads/gemm/gemm.hpp"

namespace dlscale {

template <class T>
double gemm_reference_element(const GemmResult<T>& r, std::int64_t row, std::int64_t column) {
  const GemmShape& s = r.shape;
  double sum = 0;
  for (std::int64_t l = 0; l < s.k; ++l) {
    const double a =
        static_cast<double>(r.a[static_cast<std::size_t>(s.trans_a ? l + row * s.k : row + l * s.m)]);
    const double b = static_cast<double>(
        r.b[static_cast<std::size_t>(s.trans_b ? column + l * s.n : l + column * s.k)]);
    sum += a * b;
  }
  return sum;
}

double GemmElementError::ratio() const {
  return tolerance > 0 ? error / tolerance : (error == 0 ? 0 : HUGE_VAL);
}

GemmElementError gemm_element_error(const GemmShape& s, std::int64_t repetitions, GemmPrecision u,
                                    double product, double c0, double value) {
  double expected = c0, tolerance = 0;
  // |op(A)|·|op(B)| ≤ k since entries lie in (−1, 1); the float64 loop itself may be off by k·2⁻⁵³·k.
  const auto k = static_cast<double>(s.k);
  const double one = std::fabs(s.alpha) * k * ((k + 2) * (u.accumulate + 0x1p-53) + u.output);
  for (std::int64_t p = 0; p < repetitions; ++p) {
    expected = s.alpha * product + (s.beta == 0 ? 0.0 : s.beta * expected);
    tolerance = std::fabs(s.beta) * tolerance + one + 2 * (u.output + 0x1p-53) * std::fabs(expected);
  }
  return {std::fabs(value - expected), tolerance};
}

bool gemm_checks_elements(const GemmShape& s, std::int64_t repetitions) {
  constexpr double most_flops = 4e6;
  constexpr std::int64_t most_repetitions = 16;
  return repetitions <= most_repetitions &&
         2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) <=
             most_flops;
}

template <class T>
Check gemm_check_elements(const GemmResult<T>& r, GemmPrecision u) {
  const GemmShape& s = r.shape;
  const std::uint64_t key = stream_key(r.seed, static_cast<std::uint64_t>(GemmOperand::c));
  Check worst{.error = 0, .tolerance = 0, .method = "every element against a float64 loop"};
  double worst_ratio = -1;
  for (std::int64_t j = 0; j < s.n; ++j)
    for (std::int64_t i = 0; i < s.m; ++i) {
      const double product = gemm_reference_element(r, i, j);
      const double c0 = gemm_c0(r, key, static_cast<std::uint64_t>(i + j * s.m));
      const GemmElementError element =
          gemm_element_error(s, r.repetitions, u, product, c0,
                             static_cast<double>(r.c[static_cast<std::size_t>(i + j * s.m)]));
      if (!(element.ratio() <= worst_ratio)) {  // NaN wins and stays
        worst_ratio = element.ratio();
        worst.error = element.error;
        worst.tolerance = element.tolerance;
        if (std::isnan(worst_ratio)) return worst;
      }
    }
  return worst;
}

template double gemm_reference_element(const GemmResult<double>&, std::int64_t, std::int64_t);
template double gemm_reference_element(const GemmResult<float>&, std::int64_t, std::int64_t);
template Check gemm_check_elements(const GemmResult<double>&, GemmPrecision);
template Check gemm_check_elements(const GemmResult<float>&, GemmPrecision);

}  // namespace dlscale
