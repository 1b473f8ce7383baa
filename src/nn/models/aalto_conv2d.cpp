// SPDX-License-Identifier: BSD-3-Clause
#include "nn/models/pieces.hpp"

namespace dlscale::nn {

namespace {

/// Three strided convolutions with a mean pool after each, all padded "same", no activation anywhere.
/// "Same" with stride 2 on an even size pads only after the end; the mean leaves padding out.
Graph build(const ModelOptions& options) {
  Graph graph = start_model(aalto_conv2d(), options);
  int at = graph.input();
  const auto block = [&](const char* number, std::int64_t filters) {
    at = graph.conv(at, std::string("conv") + number, filters, {Window::same(graph.shape(at), 3, 2)});
    at = graph.avg_pool(at, std::string("pool") + number, Window::same(graph.shape(at), 2, 2));
  };
  block("1", 2048);
  block("2", 128);
  block("3", 64);
  graph.loss(graph.dense(at, "fc1", classes_of(aalto_conv2d(), options)));
  return graph;
}

}  // namespace

const Model& aalto_conv2d() {
  static const Model model = {"aalto-conv2d",
                              "Convolve2D of Aalto's deep learning hardware benchmark (3 conv, 1 dense)",
                              {3, 32, 32},
                              10,
                              1,
                              build};
  return model;
}

}  // namespace dlscale::nn
