// SPDX-License-Identifier: BSD-3-Clause
/// A batch norm with running statistics is a factor and an offset per channel: in inference both go into
/// the convolution before it. w' = w · γ/√(σ² + ε), b' = (b − μ) · γ/√(σ² + ε) + β.
#pragma once

#include <vector>

#include "cuda/nn/parameter_store.hpp"

namespace dlscale::cuda::dnn {

/// Canonical.
std::vector<float> folded_weights(const nn::Graph& graph, const ParameterStore& store, int conv,
                                  int norm);
std::vector<float> folded_bias(const nn::Graph& graph, const ParameterStore& store, int conv, int norm);

}  // namespace dlscale::cuda::dnn
