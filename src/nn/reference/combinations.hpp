// SPDX-License-Identifier: BSD-3-Clause
/// Random combinations of channels: a linear layer of many channels is judged by the layer of their
/// combination, at the cost of one.
#pragma once

#include <algorithm>

#include "device/random.hpp"
#include "nn/reference/conv_grid.hpp"

namespace dlscale::nn {

/// At most so many channels in a combination: in bf16 one wrong element must stand out of the rounding
/// of the others.
inline constexpr std::int64_t widest_combination = 128;

/// Combinations over the channels of every group. Their weights are ± [1, 2], the signs random: every
/// element counts at least once. All channels are combined twice with magnitudes so different that of
/// two channels that are swapped at least one combination tells (±1 would miss one swap in four, also
/// then). Combinations of one channel have the weight 1.
class Combinations {
 public:
  Combinations(std::int64_t in_group, std::int64_t groups, std::int64_t width, std::uint64_t seed)
      : per_group_(in_group),
        groups_(groups),
        width_(std::min(width, in_group)),
        parts_((in_group + width_ - 1) / width_),
        copies_(width_ == 1 ? 1 : 2),
        key_(stream_key(seed, 0x636f6d62)) {}

  std::int64_t count() const { return groups_ * parts_ * copies_; }
  std::int64_t group(std::int64_t k) const { return k / copies_ / parts_; }
  /// Channels [first, last) of combination k, counted over all groups.
  std::int64_t first(std::int64_t k) const {
    return group(k) * per_group_ + k / copies_ % parts_ * width_;
  }
  std::int64_t last(std::int64_t k) const {
    return std::min(first(k) + width_, (group(k) + 1) * per_group_);
  }
  double weight(std::int64_t k, std::int64_t channel) const {
    if (width_ == 1) return 1;
    const std::int64_t place = channel - first(k), copy = k % copies_;
    const std::int64_t level = copy == 0 ? place % levels : place / levels;
    const double magnitude = 1 + static_cast<double>(level) / (levels - 1);
    return magnitude * sign_at(key_, static_cast<std::uint64_t>(2 * channel + copy));
  }

 private:
  static constexpr std::int64_t levels = 12;
  static_assert(levels * levels >= widest_combination);
  std::int64_t per_group_, groups_, width_, parts_, copies_;
  std::uint64_t key_;
};

/// Σ weight · value and Σ weight² · value² over the channels of a combination.
struct Combined {
  explicit Combined(std::size_t size) : value(size, 0.0), square(size, 0.0) {}
  void add(std::size_t i, double weight, double v) {
    value[i] += weight * v;
    square[i] += (weight * v) * (weight * v);
  }
  std::vector<double> value, square;
};

/// Of stored values at `pixels`; `plane` values lie between channels.
Combined combine_pixels(const Combinations& by, std::int64_t k, std::span<const float> values,
                        std::int64_t plane, std::span<const GridPixel> pixels);
/// Of weights over output channels: [input channel of the group][tap].
Combined combine_filters(const Combinations& by, std::int64_t k, std::span<const float> w,
                         std::int64_t filter_size);
/// Of weights over input channels: [output channel of the group][tap].
Combined combine_inputs(const Combinations& by, std::int64_t k, std::span<const float> w,
                        const ConvGrid& grid);

}  // namespace dlscale::nn
