// SPDX-License-Identifier: BSD-3-Clause
#include "measure/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace dlscale {
namespace {

bool any_nan(std::span<const double> values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

}  // namespace

double median(std::span<const double> values) {
  if (values.empty() || any_nan(values)) return not_a_number;
  std::vector<double> copy(values.begin(), values.end());
  const auto middle = copy.begin() + static_cast<std::ptrdiff_t>(copy.size() / 2);
  std::nth_element(copy.begin(), middle, copy.end());
  if (copy.size() % 2 != 0) return *middle;
  return (*std::max_element(copy.begin(), middle) + *middle) / 2;
}

double percentile(std::span<const double> values, double q) {
  if (values.empty() || any_nan(values)) return not_a_number;
  std::vector<double> copy(values.begin(), values.end());
  const auto n = static_cast<double>(copy.size());
  const auto rank = static_cast<std::ptrdiff_t>(std::clamp(std::ceil(q * n), 1.0, n)) - 1;
  std::nth_element(copy.begin(), copy.begin() + rank, copy.end());
  return copy[static_cast<std::size_t>(rank)];
}

double median_absolute_deviation(std::span<const double> values) {
  const double center = median(values);
  std::vector<double> deviations;
  deviations.reserve(values.size());
  for (const double v : values) deviations.push_back(std::fabs(v - center));
  return median(deviations);
}

std::optional<OrderRanks> order_ranks(std::size_t n, double confidence) {
  if (n < 2) return std::nullopt;
  // P(X₍ⱼ₎ ≤ median ≤ X₍ₙ₋ⱼ₊₁₎) = 1 − 2·P(Bin(n, ½) < j); the largest j that still covers.
  std::optional<OrderRanks> best;
  double below = 0;                                         // P(Bin < j)
  double probability = std::exp2(-static_cast<double>(n));  // P(Bin = j − 1)
  for (std::size_t j = 1; 2 * j <= n; ++j) {
    below += probability;
    const double coverage = 1 - 2 * below;
    if (coverage < confidence) break;
    best = OrderRanks{j - 1, n - j, coverage};
    probability *= static_cast<double>(n - j + 1) / static_cast<double>(j);
  }
  return best;
}

Interval mover_ratio(const Interval& a, const Interval& b) {
  Interval ratio;
  if (!(a.median > 0 && b.median > 0 && a.low > 0 && b.low > 0)) return ratio;
  ratio.median = a.median / b.median;
  ratio.blocks = std::min(a.blocks, b.blocks);
  ratio.valid = a.valid && b.valid;
  ratio.low = a.low / b.high;
  ratio.high = a.high / b.low;
  if (!ratio.valid) return ratio;
  const double down = std::hypot(std::log(a.median / a.low), std::log(b.high / b.median));
  const double up = std::hypot(std::log(a.high / a.median), std::log(b.median / b.low));
  ratio.low = ratio.median * std::exp(-down);
  ratio.high = ratio.median * std::exp(up);
  return ratio;
}

Interval scaled(Interval value, double factor) {
  value.median *= factor;
  value.low *= factor;
  value.high *= factor;
  return value;
}

Interval block_interval(std::span<const double> block_medians, double confidence) {
  Interval result;
  result.blocks = block_medians.size();
  result.median = median(block_medians);
  if (block_medians.empty() || std::isnan(result.median)) return result;
  std::vector<double> sorted(block_medians.begin(), block_medians.end());
  std::sort(sorted.begin(), sorted.end());
  result.low = sorted.front();
  result.high = sorted.back();
  if (sorted.size() < 6) return result;
  if (const auto ranks = order_ranks(sorted.size(), confidence)) {
    result.low = sorted[ranks->low];
    result.high = sorted[ranks->high];
    result.valid = true;
  }
  return result;
}

}  // namespace dlscale
