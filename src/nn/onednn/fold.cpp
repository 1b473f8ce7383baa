// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/fold.hpp"

#include <cmath>

namespace dlscale::nn::onednn {
namespace {

std::vector<float> values_of(const Graph& graph, const ParameterStore& store, int parameter) {
  std::vector<float> values(
      static_cast<std::size_t>(graph.parameters()[static_cast<std::size_t>(parameter)].count()));
  store.read(parameter, values);
  return values;
}

int id_of(const Graph& graph, const Layer& layer) {
  return static_cast<int>(&layer - graph.layers().data());
}

std::vector<double> factors(const Graph& graph, ParameterStore& store, const Layer& norm) {
  const std::vector<float> gamma = values_of(graph, store, norm.parameters[0]);
  const auto variance = store.variance(id_of(graph, norm));
  std::vector<double> list(gamma.size());
  for (std::size_t c = 0; c < list.size(); ++c)
    list[c] = static_cast<double>(gamma[c]) / std::sqrt(static_cast<double>(variance[c]) + norm.epsilon);
  return list;
}

}  // namespace

std::vector<float> folded_weights(const Graph& graph, ParameterStore& store, const Layer& conv,
                                  const Layer& norm) {
  std::vector<float> weights = values_of(graph, store, conv.parameters[0]);
  const std::vector<double> factor = factors(graph, store, norm);
  const std::size_t each = weights.size() / factor.size();  // per output channel
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<float>(weights[i] * factor[i / each]);
  return weights;
}

std::vector<float> folded_bias(const Graph& graph, ParameterStore& store, const Layer& conv,
                               const Layer& norm) {
  const std::vector<double> factor = factors(graph, store, norm);
  const std::vector<float> beta = values_of(graph, store, norm.parameters[1]);
  std::vector<float> bias(factor.size(), 0.0F);
  if (conv.bias) bias = values_of(graph, store, conv.parameters[1]);
  const auto mean = store.mean(id_of(graph, norm));
  for (std::size_t c = 0; c < bias.size(); ++c)
    bias[c] = static_cast<float>((static_cast<double>(bias[c]) - mean[c]) * factor[c] + beta[c]);
  return bias;
}

}  // namespace dlscale::nn::onednn
