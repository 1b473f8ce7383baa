// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/fold.hpp"

#include <cmath>

namespace dlscale::cuda::dnn {
namespace {

struct Affine {
  std::vector<double> factor, offset;  // of each channel
};

Affine affine_of(const nn::Graph& graph, const ParameterStore& store, int norm) {
  const nn::Layer& layer = graph.layer(norm);
  const std::vector<float> gamma = store.read(layer.parameters[0]),
                           beta = store.read(layer.parameters[1]);
  std::vector<float> mean(gamma.size()), variance(gamma.size());
  store.read_statistics(norm, mean, variance);
  Affine a;
  for (std::size_t c = 0; c < gamma.size(); ++c) {
    a.factor.push_back(static_cast<double>(gamma[c]) /
                       std::sqrt(static_cast<double>(variance[c]) + layer.epsilon));
    a.offset.push_back(static_cast<double>(beta[c]) - static_cast<double>(mean[c]) * a.factor[c]);
  }
  return a;
}

}  // namespace

std::vector<float> folded_weights(const nn::Graph& graph, const ParameterStore& store, int conv,
                                  int norm) {
  std::vector<float> weights = store.read(graph.layer(conv).parameters[0]);
  const Affine a = affine_of(graph, store, norm);
  const std::size_t each = weights.size() / a.factor.size();  // per output channel
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<float>(static_cast<double>(weights[i]) * a.factor[i / each]);
  return weights;
}

std::vector<float> folded_bias(const nn::Graph& graph, const ParameterStore& store, int conv, int norm) {
  const nn::Layer& layer = graph.layer(conv);
  const Affine a = affine_of(graph, store, norm);
  std::vector<float> bias(a.factor.size(), 0.0F);
  if (layer.bias) bias = store.read(layer.parameters[1]);
  for (std::size_t c = 0; c < bias.size(); ++c)
    bias[c] = static_cast<float>(static_cast<double>(bias[c]) * a.factor[c] + a.offset[c]);
  return bias;
}

}  // namespace dlscale::cuda::dnn
