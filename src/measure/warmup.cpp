// SPDX-License-Identifier: BSD-3-Clause
#include "measure/warmup.hpp"

#include <algorithm>
#include <cmath>

#include "measure/statistics.hpp"

namespace dlscale {

bool is_steady(std::span<const double> seconds, double tolerance) {
  if (seconds.size() < warmup_window) return false;
  const auto last = seconds.last(warmup_window);
  const auto older = last.first(warmup_window / 2), newer = last.last(warmup_window / 2);
  const double before = median(older), now = median(newer);
  if (!(before > 0) || !(now > 0)) return false;
  if (std::fabs(now - before) <= tolerance * now) return true;
  // Halves that don't overlap are a trend, not noise (one in ten by chance: then the warm-up is a little
  // longer).
  const auto [older_low, older_high] = std::minmax_element(older.begin(), older.end());
  const auto [newer_low, newer_high] = std::minmax_element(newer.begin(), newer.end());
  if (*older_low > *newer_high || *newer_low > *older_high) return false;
  // Noise within the halves only, so that a trend does not excuse itself. 1.4826·MAD ≈ σ; a median of
  // three has 0.67 σ.
  const double sigma =
      1.4826 * std::fmax(median_absolute_deviation(older), median_absolute_deviation(newer));
  return std::fabs(now - before) <= 3 * 0.67 * std::sqrt(2.0) * sigma;
}

}  // namespace dlscale
