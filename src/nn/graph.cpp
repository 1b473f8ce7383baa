// SPDX-License-Identifier: BSD-3-Clause
#include "nn/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace dlscale::nn {

namespace {

std::string text(const Shape& shape) {
  return fmt::format("{} x {} x {}", shape.channels, shape.height, shape.width);
}

[[noreturn]] void refuse(std::string_view layer, std::string_view why, std::string_view remedy = {}) {
  throw Error(ExitCode::bad_input, fmt::format("layer '{}' makes no sense", layer), why, remedy);
}

void require(bool good, const Layer& layer, std::string_view why, std::string_view remedy = {}) {
  if (!good) refuse(layer.name, why, remedy);
}

void check_pads(const Layer& layer, const Window& window) {
  require(window.pad_top >= 0 && window.pad_bottom >= 0 && window.pad_left >= 0 && window.pad_right >= 0,
          layer, "its padding is negative");
}

/// The output's height and width; refuses windows that do not fit the padded input.
Shape windowed(const Layer& layer, const Window& window, std::int64_t channels) {
  require(window.kernel_h >= 1 && window.kernel_w >= 1, layer, "its kernel is below 1");
  require(window.stride_h >= 1 && window.stride_w >= 1, layer, "its stride is below 1");
  check_pads(layer, window);
  const Shape out{channels, window.out_height(layer.in.height), window.out_width(layer.in.width)};
  require(out.height >= 1 && out.width >= 1, layer,
          fmt::format("a window of {} x {} does not fit an input of {} with its padding",
                      window.kernel_h, window.kernel_w, text(layer.in)),
          "give a larger image");
  return out;
}

/// A pool's window must see at least one pixel, wherever it lies: its maximum and mean are undefined on
/// padding alone.
Shape pooled(const Layer& layer, const Window& window) {
  const Shape out = windowed(layer, window, layer.in.channels);
  require(std::max(window.pad_top, window.pad_bottom) < window.kernel_h &&
              std::max(window.pad_left, window.pad_right) < window.kernel_w,
          layer, "its padding is as large as its window");
  return out;
}

}  // namespace

Graph::Graph(std::string name, Shape input) : name_(std::move(name)) {
  Layer layer;
  layer.name = "input";
  layer.in = layer.out = input;
  require(input.channels >= 1 && input.height >= 1 && input.width >= 1, layer,
          fmt::format("{} has no values", text(input)));
  add_layer(std::move(layer));
}

Layer Graph::start_layer(Op op, std::string name, std::vector<int> inputs) const {
  if (name.empty()) refuse(to_string(op), "it has no name");
  const auto taken = [&](const Layer& other) { return other.name == name; };
  if (std::any_of(layers_.begin(), layers_.end(), taken)) refuse(name, "another layer has that name");
  if (layers_.back().op == Op::softmax_cross_entropy) refuse(name, "it comes after the loss");
  if (inputs.empty()) refuse(name, "it has no input");
  for (const int id : inputs)
    if (id < 0 || id >= static_cast<int>(layers_.size()))
      refuse(name, fmt::format("its input {} does not exist", id));
  Layer layer;
  layer.op = op;
  layer.name = std::move(name);
  layer.in = layer.out = shape(inputs.front());
  layer.inputs = std::move(inputs);
  layer.trainable = trainable_;
  return layer;
}

int Graph::add_layer(Layer layer) {
  bool needed = false;  // parameters of its own are added by add_parameter()
  for (const int id : layer.inputs) needed = needed || needs_gradient(id);
  layers_.push_back(std::move(layer));
  needs_gradient_.push_back(needed);
  return static_cast<int>(layers_.size()) - 1;
}

int Graph::add_parameter(int layer, const char* suffix, ParameterKind kind,
                         std::vector<std::int64_t> dims, std::int64_t fan_in) {
  Layer& owner = layers_[static_cast<std::size_t>(layer)];
  const int id = static_cast<int>(parameters_.size());
  parameters_.push_back(
      {owner.name + "." + suffix, kind, layer, std::move(dims), fan_in, owner.trainable});
  owner.parameters.push_back(id);
  if (owner.trainable) needs_gradient_[static_cast<std::size_t>(layer)] = true;
  return id;
}

int Graph::conv(int from, std::string name, std::int64_t filters, const ConvOptions& options) {
  Layer layer = start_layer(Op::conv, std::move(name), {from});
  const std::int64_t channels = layer.in.channels, groups = options.groups;
  require(filters >= 1, layer, "it has no filters");
  require(groups >= 1 && channels % groups == 0 && filters % groups == 0, layer,
          fmt::format("{} groups do not divide {} channels and {} filters", groups, channels, filters));
  layer.window = options.window;
  layer.groups = groups;
  layer.bias = options.bias;
  layer.out = windowed(layer, options.window, filters);
  const std::int64_t kernel_h = options.window.kernel_h, kernel_w = options.window.kernel_w;
  const std::int64_t fan_in = channels / groups * kernel_h * kernel_w;
  const int id = add_layer(std::move(layer));
  add_parameter(id, "weight", ParameterKind::weight, {filters, channels / groups, kernel_h, kernel_w},
                fan_in);
  if (options.bias) add_parameter(id, "bias", ParameterKind::bias, {filters}, fan_in);
  return id;
}

int Graph::batch_norm(int from, std::string name, double epsilon, double momentum) {
  Layer layer = start_layer(Op::batch_norm, std::move(name), {from});
  require(epsilon > 0, layer, "its epsilon is not above 0");
  require(momentum >= 0 && momentum <= 1, layer, "its momentum is not in 0 to 1");
  layer.epsilon = epsilon;
  layer.momentum = momentum;
  const std::int64_t channels = layer.in.channels;
  const int id = add_layer(std::move(layer));
  add_parameter(id, "weight", ParameterKind::gamma, {channels}, 1);
  add_parameter(id, "bias", ParameterKind::beta, {channels}, 1);
  return id;
}

int Graph::relu(int from, std::string name) {
  return add_layer(start_layer(Op::relu, std::move(name), {from}));
}

int Graph::max_pool(int from, std::string name, const Window& window) {
  Layer layer = start_layer(Op::max_pool, std::move(name), {from});
  layer.window = window;
  layer.out = pooled(layer, window);
  return add_layer(std::move(layer));
}

int Graph::avg_pool(int from, std::string name, const Window& window, bool include_padding) {
  Layer layer = start_layer(Op::avg_pool, std::move(name), {from});
  layer.window = window;
  layer.include_padding = include_padding;
  layer.out = pooled(layer, window);
  return add_layer(std::move(layer));
}

int Graph::global_avg_pool(int from, std::string name) {
  Layer layer = start_layer(Op::global_avg_pool, std::move(name), {from});
  layer.window.kernel_h = layer.in.height;
  layer.window.kernel_w = layer.in.width;
  layer.out = {layer.in.channels, 1, 1};
  return add_layer(std::move(layer));
}

int Graph::dense(int from, std::string name, std::int64_t features, bool bias) {
  Layer layer = start_layer(Op::dense, std::move(name), {from});
  require(features >= 1, layer, "it has no features");
  layer.bias = bias;
  layer.out = {features, 1, 1};
  const std::int64_t inputs = layer.in.count();
  const int id = add_layer(std::move(layer));
  add_parameter(id, "weight", ParameterKind::weight, {features, inputs}, inputs);
  if (bias) add_parameter(id, "bias", ParameterKind::bias, {features}, inputs);
  return id;
}

int Graph::dropout(int from, std::string name, double rate) {
  Layer layer = start_layer(Op::dropout, std::move(name), {from});
  require(rate >= 0 && rate < 1, layer, fmt::format("a dropout rate of {} is not in [0, 1)", rate));
  layer.rate = rate;
  return add_layer(std::move(layer));
}

int Graph::add(int a, int b, std::string name) {
  Layer layer = start_layer(Op::add, std::move(name), {a, b});
  require(shape(a) == shape(b), layer,
          fmt::format("its inputs are {} and {}", text(shape(a)), text(shape(b))));
  return add_layer(std::move(layer));
}

int Graph::concat(const std::vector<int>& from, std::string name) {
  Layer layer = start_layer(Op::concat, std::move(name), from);
  layer.out.channels = 0;
  for (const int id : from) {
    const Shape& other = shape(id);
    require(other.height == layer.in.height && other.width == layer.in.width, layer,
            fmt::format("its inputs are {} and {}", text(layer.in), text(other)));
    layer.out.channels += other.channels;
  }
  return add_layer(std::move(layer));
}

int Graph::zero_pad(int from, std::string name, const Window& pads) {
  Layer layer = start_layer(Op::zero_pad, std::move(name), {from});
  check_pads(layer, pads);
  // Only the padding counts; kernel and stride stay 1, so that the output follows from the window.
  layer.window = {1, 1, 1, 1, pads.pad_top, pads.pad_bottom, pads.pad_left, pads.pad_right};
  layer.out = windowed(layer, layer.window, layer.in.channels);
  return add_layer(std::move(layer));
}

int Graph::loss(int from, std::string name) {
  Layer layer = start_layer(Op::softmax_cross_entropy, std::move(name), {from});
  require(layer.in.height == 1 && layer.in.width == 1, layer,
          fmt::format("its input is {}, not one value per class", text(layer.in)),
          "put a dense layer in front");
  require(layer.in.channels >= 2, layer, "one class leaves nothing to learn",
          "give at least two classes");
  layer.out = {1, 1, 1};
  return add_layer(std::move(layer));
}

}  // namespace dlscale::nn
