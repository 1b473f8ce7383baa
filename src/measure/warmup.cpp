// SPDX-License-Identifier: BSD-3-Clause
#include "measure/warmup.hpp"

#include <cmath>

#include "measure/statistics.hpp"

namespace dlscale {

bool is_steady(std::span<const double> seconds, double tolerance) {
  if (seconds.size() < warmup_window) return false;
  const auto last = seconds.last(warmup_window);
  const auto older = last.first(warmup_window / 2), newer = last.last(warmup_window / 2);
  const double before = median(older), now = median(newer);
  if (!(before > 0) || !(now > 0)) return false;
  // Noise within the halves only, so that a trend does not excuse itself. 1.4826·MAD ≈ σ; σ of a median
  // of three ≈ 0.67 σ.
  const double sigma =
      1.4826 * std::fmax(median_absolute_deviation(older), median_absolute_deviation(newer));
  const double noise = 3 * 0.67 * sigma * std::sqrt(2.0);
  return std::fabs(now - before) <= std::fmax(tolerance * now, noise);
}

}  // namespace dlscale
