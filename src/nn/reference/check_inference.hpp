// SPDX-License-Identifier: BSD-3-Clause
/// Layers in inference mode: batch norms with running statistics, alone or folded into a convolution.
#pragma once

#include "nn/reference/reference.hpp"

namespace dlscale::nn {

/// Like check_layer, for a view made in inference mode.
LayerVerdict check_inference_layer(const Layer& layer, const Graph& graph, std::int64_t batch,
                                   const LayerView& view, const LayerTolerance& tolerance,
                                   std::uint64_t seed);

}  // namespace dlscale::nn
