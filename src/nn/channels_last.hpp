// SPDX-License-Identifier: BSD-3-Clause
/// Between the canonical order, … × C × H × W, and … × H × W × C, in which GPUs compute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nn/graph.hpp"

namespace dlscale::nn {

/// `outer` blocks of `shape` each; both spans hold outer × shape.count() values and don't overlap.
template <class From, class To>
void to_channels_last(std::span<const From> canonical, const Shape& shape, std::span<To> to) {
  const auto channels = static_cast<std::size_t>(shape.channels),
             pixels = static_cast<std::size_t>(shape.height * shape.width), block = channels * pixels;
  for (std::size_t first = 0; first < canonical.size(); first += block)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < pixels; ++p)
        to[first + p * channels + c] = canonical[first + c * pixels + p];
}
template <class From, class To>
void from_channels_last(std::span<const From> from, const Shape& shape, std::span<To> canonical) {
  to_channels_last(from, Shape{shape.height * shape.width, shape.channels, 1}, canonical);
}

/// What a parameter's blocks are: a convolution's weights are filters × (C/groups × kh × kw), a dense
/// layer's O × its input's C × H × W; others one value per channel.
inline Shape parameter_block(const Graph& graph, const Parameter& parameter) {
  const Layer& layer = graph.layer(parameter.layer);
  if (parameter.kind != ParameterKind::weight) return {1, 1, 1};
  if (layer.op == Op::dense) return layer.in;
  return {parameter.dims[1], parameter.dims[2], parameter.dims[3]};
}

}  // namespace dlscale::nn
