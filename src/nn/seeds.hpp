// SPDX-License-Identifier: BSD-3-Clause
/// What of a network's training is drawn: functions of seeds and positions, the same for every executor.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "device/random.hpp"
#include "nn/executor.hpp"

namespace dlscale::nn {

/// Streams of random numbers, far from those of data; parameters add their index, dropout the step.
constexpr std::uint64_t weight_stream = 0x77656967687473ULL;
constexpr std::uint64_t dropout_stream = 0x64726f706f7574ULL;

/// PyTorch's defaults, canonical: uniform ±1/√fan_in for weights and biases, γ = 1, β = 0.
inline std::vector<float> initial_values(const Graph& graph, std::size_t parameter, std::uint64_t seed) {
  const Parameter& p = graph.parameters()[parameter];
  std::vector<float> values(static_cast<std::size_t>(p.count()));
  if (p.kind == ParameterKind::gamma || p.kind == ParameterKind::beta) {
    std::fill(values.begin(), values.end(), p.kind == ParameterKind::gamma ? 1.0F : 0.0F);
    return values;
  }
  const double bound = 1 / std::sqrt(static_cast<double>(p.fan_in));
  const std::uint64_t key = stream_key(seed, weight_stream + parameter);
  for (std::size_t j = 0; j < values.size(); ++j)
    values[j] = static_cast<float>(bound * uniform_at(key, j));
  return values;
}

/// Of all masks of a step (from 0); each layer's is this ^ dropout_layer_key(layer).
inline std::uint64_t dropout_key(const ExecutorOptions& options, std::uint64_t step) {
  return stream_key(options.seed + mix64(options.replica), dropout_stream + step);
}
constexpr std::uint64_t dropout_layer_key(int layer) {
  return static_cast<std::uint64_t>(layer) * 0x9e3779b97f4a7c15ULL;
}

}  // namespace dlscale::nn
