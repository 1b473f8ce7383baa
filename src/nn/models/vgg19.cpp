// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include "nn/models/pieces.hpp"

namespace dlscale::nn {

int vgg19_base(Graph& graph, int from, const std::string& prefix) {
  struct Block {
    int convolutions;
    std::int64_t filters;
  };
  int number = 0;
  for (const Block& block : {Block{2, 64}, {2, 128}, {4, 256}, {4, 512}, {4, 512}}) {
    const std::string name = fmt::format("{}block{}_", prefix, ++number);
    for (int i = 1; i <= block.convolutions; ++i) {
      from =
          graph.conv(from, fmt::format("{}conv{}", name, i), block.filters, {Window::square(3, 1, 1)});
      from = graph.relu(from, fmt::format("{}relu{}", name, i));
    }
    from = graph.max_pool(from, name + "pool", Window::square(2, 2));
  }
  return from;
}

namespace {

Graph build(const ModelOptions& options) {
  Graph graph = start_model(vgg19(), options);
  const int base = vgg19_base(graph, graph.input(), "");
  pooled_classifier(graph, base, classes_of(vgg19(), options));
  return graph;
}

}  // namespace

const Model& vgg19() {
  static const Model model = {"vgg19",
                              "VGG19's convolutions (Keras), global average pooling, one dense layer",
                              {3, 224, 224},
                              1000,
                              32,
                              build};
  return model;
}

}  // namespace dlscale::nn
