// SPDX-License-Identifier: BSD-3-Clause
// Softmax cross-entropy, and the layers put together.
#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

double log_sum_exp(const double* z, std::int64_t classes) {
  const double top = *std::max_element(z, z + classes);
  double sum = 0;
  for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(z[k] - top);
  return top + std::log(sum);
}

}  // namespace

Values loss_forward(const ReferenceLayer& l) {
  const std::int64_t classes = l.layer.in.count();
  double sum = 0;
  for (std::int64_t n = 0; n < l.batch; ++n) {
    const double* z = l.inputs[0].data() + n * classes;
    sum += log_sum_exp(z, classes) - z[l.labels[n]];
  }
  return {sum / static_cast<double>(l.batch)};
}

void loss_backward(ReferenceLayer& l, const Values& dy) {
  const std::int64_t classes = l.layer.in.count();
  const double factor = (dy.empty() ? 1 : dy[0]) / static_cast<double>(l.batch);
  for (std::int64_t n = 0; n < l.batch; ++n) {
    const double* z = l.inputs[0].data() + n * classes;
    const double total = log_sum_exp(z, classes);
    for (std::int64_t k = 0; k < classes; ++k)
      l.input_gradients[0][n * classes + k] =
          factor * (std::exp(z[k] - total) - (k == l.labels[n] ? 1 : 0));
  }
}

ReferenceNetwork::ReferenceNetwork(const Graph& graph, std::int64_t batch)
    : masks(graph.layers().size()), outputs(graph.layers().size()), graph_(graph), batch_(batch) {
  for (const Parameter& p : graph.parameters()) parameters.emplace_back(p.count(), 0.0);
  layers_.reserve(graph.layers().size());
  for (const Layer& layer : graph.layers()) layers_.push_back({.layer = layer, .batch = batch});
}

double ReferenceNetwork::forward(std::span<const double> images, std::span<const std::int32_t> labels) {
  if (static_cast<std::int64_t>(images.size()) != batch_ * graph_.shape(graph_.input()).count())
    throw Error(ExitCode::case_failed, "reference: images of another size than the graph's input");
  for (std::size_t id = 0; id < layers_.size(); ++id) {
    ReferenceLayer& l = layers_[id];
    l.inputs.clear();
    l.parameters.clear();
    if (l.layer.op == Op::input) l.inputs.emplace_back(images.begin(), images.end());
    for (const int from : l.layer.inputs) l.inputs.push_back(outputs[from]);
    for (const int p : l.layer.parameters) l.parameters.push_back(parameters[p]);
    if (l.layer.op == Op::dropout) l.mask = masks[id];
    if (l.layer.op == Op::softmax_cross_entropy) l.labels.assign(labels.begin(), labels.end());
    outputs[id] = l.forward();
  }
  return outputs.back()[0];
}

void ReferenceNetwork::backward() {
  std::vector<Values> output_gradients(layers_.size());
  output_gradients.back() = {1};
  gradients.assign(parameters.size(), {});
  for (std::size_t id = layers_.size(); id-- > 0;) {
    ReferenceLayer& l = layers_[id];
    if (output_gradients[id].empty()) output_gradients[id].assign(outputs[id].size(), 0);  // no users
    l.backward(output_gradients[id]);
    for (std::size_t i = 0; i < l.layer.inputs.size(); ++i) {
      Values& sum = output_gradients[l.layer.inputs[i]];
      if (sum.empty()) sum.assign(l.input_gradients[i].size(), 0);
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += l.input_gradients[i][k];
    }
    for (std::size_t i = 0; i < l.layer.parameters.size(); ++i)
      gradients[l.layer.parameters[i]] = l.parameter_gradients[i];
  }
}

}  // namespace dlscale::nn
