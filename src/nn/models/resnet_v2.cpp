// SPDX-License-Identifier: BSD-3-Clause
// ResNetV2 as Keras Applications builds it (resnet_common.py, preact=True), layers named alike.
#include <fmt/format.h>

#include "nn/models/pieces.hpp"

namespace dlscale::nn {

namespace {

/// Keras weighs the old statistics by 0.99.
int batch_norm(Graph& graph, int from, const std::string& name) {
  return graph.batch_norm(from, name, 1.001e-5, 0.01);
}

/// BN-ReLU, 1×1 f, BN-ReLU, 3×3 f, BN-ReLU, 1×1 4f, plus the shortcut. The zero padding in front of the
/// 3×3 convolution is its own.
int block(Graph& graph, int from, const std::string& name, std::int64_t filters, std::int64_t stride,
          bool conv_shortcut) {
  const ConvOptions point{Window::square(1), 1, true};
  int at = batch_norm(graph, from, name + "_preact_bn");
  at = graph.relu(at, name + "_preact_relu");
  int shortcut = from;
  if (conv_shortcut)
    shortcut = graph.conv(at, name + "_0_conv", 4 * filters, point);
  else if (stride > 1)  // picks every second pixel of the raw input
    shortcut = graph.max_pool(from, name + "_0_pool", Window::square(1, stride));
  at = graph.conv(at, name + "_1_conv", filters, {Window::square(1), 1, false});
  at = graph.relu(batch_norm(graph, at, name + "_1_bn"), name + "_1_relu");
  at = graph.conv(at, name + "_2_conv", filters, {Window::square(3, stride, 1), 1, false});
  at = graph.relu(batch_norm(graph, at, name + "_2_bn"), name + "_2_relu");
  at = graph.conv(at, name + "_3_conv", 4 * filters, point);
  return graph.add(shortcut, at, name + "_out");
}

}  // namespace

int resnet_v2_base(Graph& graph, int from, const std::string& prefix, const ResnetDepths& depths) {
  int at = graph.conv(from, prefix + "conv1_conv", 64, {Window::square(7, 2, 3)});
  // Zeros, not −∞: values are negative here, too.
  at = graph.zero_pad(at, prefix + "pool1_pad", Window::square(1, 1, 1));
  at = graph.max_pool(at, prefix + "pool1_pool", Window::square(3, 2));
  std::int64_t filters = 64;
  for (int stage = 0; stage < 4; ++stage, filters *= 2) {
    const int blocks = depths[static_cast<std::size_t>(stage)];
    for (int i = 1; i <= blocks; ++i) {
      const std::int64_t stride = i == blocks && stage < 3 ? 2 : 1;
      const std::string name = fmt::format("{}conv{}_block{}", prefix, stage + 2, i);
      at = block(graph, at, name, filters, stride, i == 1);
    }
  }
  at = batch_norm(graph, at, prefix + "post_bn");
  return graph.relu(at, prefix + "post_relu");
}

}  // namespace dlscale::nn
