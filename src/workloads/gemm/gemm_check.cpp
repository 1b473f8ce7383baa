// SPDX-License-Identifier: BSD-3-Clause
// Verification at full size in O(m·n + m·k + k·n): docs/metrics.md, "Verifying GEMM".
#include <cmath>
#include <type_traits>
#include <vector>

#include "device/random.hpp"
#include "workloads/gemm/gemm.hpp"

namespace dlscale {
namespace {

constexpr int columns = gemm_probe_columns;

// rows × 4, row after row.
template <class W>
using Thin = std::vector<W>;

// Y += S·X for a column-major rows×cols array whose elements `at(index)` gives.
template <class W, class At>
void multiply(std::int64_t rows, std::int64_t cols, At at, const Thin<W>& x, Thin<W>& y) {
  for (std::int64_t j = 0; j < cols; ++j) {
    const W* xj = &x[static_cast<std::size_t>(j * columns)];
    const W x0 = xj[0], x1 = xj[1], x2 = xj[2], x3 = xj[3];
    for (std::int64_t i = 0; i < rows; ++i) {
      const W value = at(i + j * rows);
      W* yi = &y[static_cast<std::size_t>(i * columns)];
      yi[0] += value * x0;
      yi[1] += value * x1;
      yi[2] += value * x2;
      yi[3] += value * x3;
    }
  }
}

// Y += Sᵀ·X for a column-major rows×cols array: cols results.
template <class W, class At>
void multiply_transposed(std::int64_t rows, std::int64_t cols, At at, const Thin<W>& x, Thin<W>& y) {
  for (std::int64_t j = 0; j < cols; ++j) {
    W sum[columns] = {};
    for (std::int64_t i = 0; i < rows; ++i) {
      const W value = at(i + j * rows);
      const W* xi = &x[static_cast<std::size_t>(i * columns)];
      for (int c = 0; c < columns; ++c) sum[c] += value * xi[c];
    }
    for (int c = 0; c < columns; ++c) y[static_cast<std::size_t>(j * columns + c)] += sum[c];
  }
}

}  // namespace

double gemm_residual_tolerance(const GemmShape& s, std::int64_t repetitions, GemmPrecision u) {
  const auto n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  const double product = std::fabs(s.alpha) * uniform_sigma * uniform_sigma;  // |α| σ_A σ_B
  const double beta = std::fabs(s.beta);
  double sum = 0, power = 1, scale = 0;  // Σ|β|ⁱ and |β|ⁱ so far
  for (std::int64_t r = 0; r < repetitions; ++r) {
    sum += power;
    power *= beta;
    // This repetition rounds α·op(A)·op(B), then the new C; earlier errors are multiplied by β.
    scale = beta * scale + product * (u.accumulate * k + u.output * std::sqrt(k) * sum) +
            2 * u.output * uniform_sigma * power;
    if (beta == 0) break;
  }
  return 4 * std::sqrt(n) * scale;  // the scale of one entry's error; four times for the largest
}

template <class T>
Check gemm_check(const GemmResult<T>& r, GemmPrecision precision) {
  using W = std::conditional_t<std::is_same_v<T, double>, long double, double>;
  const GemmShape& s = r.shape;
  const std::uint64_t x_key = stream_key(r.seed, gemm_probe_stream);
  const std::uint64_t c_key = stream_key(r.seed, static_cast<std::uint64_t>(GemmOperand::c));

  Thin<W> x(static_cast<std::size_t>(s.n * columns));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<W>(sign_at(x_key, i));

  const auto a = [&](std::int64_t i) { return static_cast<W>(r.a[static_cast<std::size_t>(i)]); };
  const auto b = [&](std::int64_t i) { return static_cast<W>(r.b[static_cast<std::size_t>(i)]); };
  const auto c = [&](std::int64_t i) { return static_cast<W>(r.c[static_cast<std::size_t>(i)]); };

  Thin<W> bx(static_cast<std::size_t>(s.k * columns)), abx(static_cast<std::size_t>(s.m * columns)),
      cx(static_cast<std::size_t>(s.m * columns));
  s.trans_b ? multiply_transposed(s.n, s.k, b, x, bx) : multiply(s.k, s.n, b, x, bx);
  s.trans_a ? multiply_transposed(s.k, s.m, a, bx, abx) : multiply(s.m, s.k, a, bx, abx);
  multiply(s.m, s.n, c, x, cx);

  const auto [sum, power] = gemm_factors<W>(s.beta, r.repetitions);
  Thin<W> c0x;
  if (s.beta != 0) {
    c0x.resize(cx.size());
    const auto c0 = [&](std::int64_t i) {
      return static_cast<W>(gemm_c0(r, c_key, static_cast<std::uint64_t>(i)));
    };
    multiply(s.m, s.n, c0, x, c0x);
  }

  double worst = 0;
  for (std::size_t i = 0; i < cx.size(); ++i) {
    W expected = static_cast<W>(s.alpha) * sum * abx[i];
    if (s.beta != 0) expected += power * c0x[i];
    const auto error = static_cast<double>(std::fabs(cx[i] - expected));
    if (!(error <= worst)) worst = error;
    if (std::isnan(worst)) break;  // stays NaN, and NaN fails
  }
  return {.error = worst,
          .tolerance = gemm_residual_tolerance(s, r.repetitions, precision),
          .method = "residual C·X − (αA(B·X) + βC0·X), X of four ±1 columns"};
}

template Check gemm_check(const GemmResult<double>&, GemmPrecision);
template Check gemm_check(const GemmResult<float>&, GemmPrecision);

}  // namespace dlscale
