// SPDX-License-Identifier: BSD-3-Clause
/// Medians and their intervals from blocks: pure functions (docs/metrics.md, "Intervals").
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace dlscale {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Median; the mean of the middle two for even counts; NaN for none or if any value is NaN.
double median(std::span<const double> values);

/// Value below which the share `q` lies: nearest rank ⌈q·n⌉. NaN for none.
double percentile(std::span<const double> values, double q);

/// Median absolute deviation, not scaled. NaN for none.
double median_absolute_deviation(std::span<const double> values);

/// Ranks (0-based) whose values enclose the median with at least `confidence`, from the binomial
/// distribution.
struct OrderRanks {
  std::size_t low = 0, high = 0;
  double coverage = 0;
};
/// Nothing when even [min, max] of n values covers less.
std::optional<OrderRanks> order_ranks(std::size_t n, double confidence);

/// A median with what is known about it.
struct Interval {
  double median = not_a_number;
  double low = not_a_number,
         high = not_a_number;  ///< interval if `valid`, else smallest and largest block
  bool valid = false;          ///< at least six blocks
  std::size_t blocks = 0;
  /// (high − low) / 2 / median; NaN without an interval.
  double relative_half_width() const {
    return valid && median > 0 ? (high - low) / 2 / median : not_a_number;
  }
};

/// a / b of two positive medians; an interval if both have one: MOVER (Donner, Zou 2012, doi
/// 10.1177/0962280210383082) on logarithms, so that those of a / b and b / a are reciprocal. Without:
/// the smallest and largest ratio of blocks.
Interval mover_ratio(const Interval& a, const Interval& b);

/// Times a positive number that is known exactly.
Interval scaled(Interval value, double factor);

/// From block medians: [min, max] of six to eight (97 % for six), order statistics for more.
Interval block_interval(std::span<const double> block_medians, double confidence);

}  // namespace dlscale
