// SPDX-License-Identifier: BSD-3-Clause
// Windows, and what is counted in a graph: parameters, FLOP, who reads whom.
#include <algorithm>
#include <array>
#include <string>

#include "base/error.hpp"
#include "nn/graph.hpp"

namespace dlscale::nn {

namespace {

/// 1 + ⌊(in + padding − kernel) / stride⌋, and 0 where the kernel is larger.
std::int64_t positions(std::int64_t padded, std::int64_t kernel, std::int64_t stride) {
  return padded < kernel || stride < 1 ? 0 : (padded - kernel) / stride + 1;
}

/// Padding that makes the output ⌈in / stride⌉.
std::int64_t same_padding(std::int64_t in, std::int64_t kernel, std::int64_t stride) {
  const std::int64_t out = (in + stride - 1) / stride;
  return std::max<std::int64_t>((out - 1) * stride + kernel - in, 0);
}

}  // namespace

std::string_view to_string(Op op) {
  static constexpr std::array<std::string_view, 13> names = {"input",
                                                             "conv",
                                                             "batch_norm",
                                                             "relu",
                                                             "max_pool",
                                                             "avg_pool",
                                                             "global_avg_pool",
                                                             "dense",
                                                             "dropout",
                                                             "add",
                                                             "concat",
                                                             "zero_pad",
                                                             "softmax_cross_entropy"};
  return names[static_cast<std::size_t>(op)];
}

Window Window::square(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {kernel, kernel, stride, stride, pad, pad, pad, pad};
}

Window Window::same(const Shape& in, std::int64_t kernel, std::int64_t stride) {
  if (kernel < 1 || stride < 1)
    throw Error(ExitCode::bad_input, "a window with a kernel or stride below 1 makes no sense");
  const std::int64_t high = same_padding(in.height, kernel, stride);
  const std::int64_t wide = same_padding(in.width, kernel, stride);
  return {kernel, kernel, stride, stride, high / 2, high - high / 2, wide / 2, wide - wide / 2};
}

std::int64_t Window::out_height(std::int64_t in) const {
  return positions(in + pad_top + pad_bottom, kernel_h, stride_h);
}

std::int64_t Window::out_width(std::int64_t in) const {
  return positions(in + pad_left + pad_right, kernel_w, stride_w);
}

std::int64_t Parameter::count() const {
  std::int64_t product = 1;
  for (const std::int64_t dim : dims) product *= dim;
  return product;
}

double Layer::forward_macs() const {
  if (op == Op::dense) return static_cast<double>(in.count()) * static_cast<double>(out.count());
  if (op != Op::conv) return 0;
  const std::int64_t taps = in.channels / groups * window.kernel_h * window.kernel_w;
  return static_cast<double>(out.count()) * static_cast<double>(taps);
}

std::int64_t Graph::classes() const {
  if (layers_.back().op != Op::softmax_cross_entropy)
    throw Error(ExitCode::bad_input, "graph '" + name_ + "' has no classes",
                "its last layer is no loss");
  return layers_.back().in.channels;
}

std::vector<int> Graph::users(int id) const {
  std::vector<int> found;
  for (int user = id + 1; user < static_cast<int>(layers_.size()); ++user) {
    const std::vector<int>& inputs = layer(user).inputs;
    if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) found.push_back(user);
  }
  return found;
}

bool Graph::needs_gradient(int id) const {
  return needs_gradient_[static_cast<std::size_t>(id)];
}

std::int64_t Graph::parameter_count() const {
  std::int64_t sum = 0;
  for (const Parameter& parameter : parameters_) sum += parameter.count();
  return sum;
}

std::int64_t Graph::trainable_count() const {
  std::int64_t sum = 0;
  for (const Parameter& parameter : parameters_)
    if (parameter.trainable) sum += parameter.count();
  return sum;
}

std::int64_t Graph::statistics_count() const {
  std::int64_t sum = 0;
  for (const Layer& one : layers_)
    if (one.op == Op::batch_norm) sum += 2 * one.in.channels;
  return sum;
}

double Graph::forward_flops() const {
  double sum = 0;
  for (const Layer& one : layers_) sum += 2 * one.forward_macs();
  return sum;
}

double Graph::training_flops() const {
  double sum = forward_flops();
  for (int id = 0; id < static_cast<int>(layers_.size()); ++id)
    sum += backward_data_flops(id) + backward_weights_flops(id);
  return sum;
}

double Graph::backward_data_flops(int id) const {
  const Layer& one = layer(id);
  return !one.inputs.empty() && needs_gradient(one.inputs.front()) ? 2 * one.forward_macs() : 0;
}

double Graph::backward_weights_flops(int id) const {
  const Layer& one = layer(id);
  return one.trainable ? 2 * one.forward_macs() : 0;
}

}  // namespace dlscale::nn
