// SPDX-License-Identifier: BSD-3-Clause
/// A batch norm with running statistics is a factor and an offset per channel: in inference both go into
/// the convolution before it. w' = w · γ/√(σ² + ε), b' = (b − μ) · γ/√(σ² + ε) + β.
#pragma once

#include <vector>

#include "nn/onednn/parameter_store.hpp"

namespace dlscale::nn::onednn {

/// Canonical layouts.
std::vector<float> folded_weights(const Graph& graph, ParameterStore& store, const Layer& conv,
                                  const Layer& norm);
std::vector<float> folded_bias(const Graph& graph, ParameterStore& store, const Layer& conv,
                               const Layer& norm);

}  // namespace dlscale::nn::onednn
