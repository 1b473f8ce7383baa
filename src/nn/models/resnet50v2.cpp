// SPDX-License-Identifier: BSD-3-Clause
#include "nn/models/pieces.hpp"

namespace dlscale::nn {

namespace {

Graph build(const ModelOptions& options) {
  Graph graph = start_model(resnet50v2(), options);
  const int base = resnet_v2_base(graph, graph.input(), "", resnet50_depths);
  pooled_classifier(graph, base, classes_of(resnet50v2(), options));
  return graph;
}

}  // namespace

const Model& resnet50v2() {
  static const Model model = {"resnet50v2",
                              "ResNet50V2 (Keras), global average pooling, one dense layer",
                              {3, 224, 224},
                              1000,
                              32,
                              build};
  return model;
}

}  // namespace dlscale::nn
