// SPDX-License-Identifier: BSD-3-Clause
#include "nn/models/pieces.hpp"

namespace dlscale::nn {

namespace {

/// Three times convolution, batch norm, ReLU and pool; then three dense layers.
Graph build(const ModelOptions& options) {
  Graph graph = start_model(topflight_cnn(), options);
  const double rate = options.dropout < 0 ? 0.5 : options.dropout;
  int at = graph.input();
  std::int64_t filters = 32;
  for (const char* number : {"1", "2", "3"}) {
    at = graph.conv(at, std::string("conv") + number, filters, {Window::square(3, 1, 1)});
    at = graph.batch_norm(at, std::string("bn") + number);
    at = graph.relu(at, std::string("relu") + number);
    at = graph.max_pool(at, std::string("pool") + number, Window::square(2, 2));
    filters *= 2;
  }
  at = graph.relu(graph.dense(at, "fc1", 256), "relu4");
  at = graph.dropout(at, "dropout1", rate);
  at = graph.relu(graph.dense(at, "fc2", 128), "relu5");
  at = graph.dropout(at, "dropout2", rate);
  graph.loss(graph.dense(at, "fc3", classes_of(topflight_cnn(), options)));
  return graph;
}

}  // namespace

const Model& topflight_cnn() {
  static const Model model = {"topflight-cnn",
                              "CNN of Top Flight's \"Make Hardware Work For You\" (3 conv, 3 dense)",
                              {1, 28, 28},
                              10,
                              8,
                              build};
  return model;
}

}  // namespace dlscale::nn
