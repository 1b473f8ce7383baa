// SPDX-License-Identifier: BSD-3-Clause
#include "nn/reference/combinations.hpp"

namespace dlscale::nn {

Combined combine_pixels(const Combinations& by, std::int64_t k, std::span<const float> values,
                        std::int64_t plane, std::span<const GridPixel> pixels) {
  Combined sum(pixels.size());
  for (std::int64_t c = by.first(k); c < by.last(k); ++c) {
    const double weight = by.weight(k, c);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      sum.add(i, weight, static_cast<double>(values[c * plane + pixels[i].value]));
  }
  return sum;
}

Combined combine_filters(const Combinations& by, std::int64_t k, std::span<const float> w,
                         std::int64_t filter_size) {
  Combined sum(filter_size);
  for (std::int64_t o = by.first(k); o < by.last(k); ++o) {
    const double weight = by.weight(k, o);
    for (std::int64_t i = 0; i < filter_size; ++i)
      sum.add(i, weight, static_cast<double>(w[o * filter_size + i]));
  }
  return sum;
}

Combined combine_inputs(const Combinations& by, std::int64_t k, std::span<const float> w,
                        const ConvGrid& grid) {
  Combined sum(grid.group_out * grid.taps);
  const std::int64_t group = by.group(k);
  for (std::int64_t o = 0; o < grid.group_out; ++o)
    for (std::int64_t c = by.first(k); c < by.last(k); ++c) {
      const std::int64_t filter =
          (group * grid.group_out + o) * grid.group_in + c - group * grid.group_in;
      for (std::int64_t t = 0; t < grid.taps; ++t)
        sum.add(o * grid.taps + t, by.weight(k, c), static_cast<double>(w[filter * grid.taps + t]));
    }
  return sum;
}

}  // namespace dlscale::nn
