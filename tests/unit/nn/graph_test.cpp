// SPDX-License-Identifier: BSD-3-Clause
#include "nn/graph.hpp"

#include <functional>

#include "base/error.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

/// The message of the refusal; empty when nothing was refused.
std::string refused_by(const std::function<void(Graph&)>& add, Shape input = {3, 8, 8}) {
  try {
    Graph graph("test", input);
    add(graph);
  } catch (const Error& error) {
    CHECK(error.exit_code() == ExitCode::bad_input);
    return error.what();
  }
  return "";
}

bool names(const std::string& message, const std::string& layer) {
  INFO("refusal: " << message);
  CHECK(message.find("'" + layer + "'") != std::string::npos);
  return !message.empty();
}

Window window(std::int64_t kernel_h, std::int64_t kernel_w, std::int64_t stride_h, std::int64_t stride_w,
              std::int64_t top = 0, std::int64_t bottom = 0, std::int64_t left = 0,
              std::int64_t right = 0) {
  return {kernel_h, kernel_w, stride_h, stride_w, top, bottom, left, right};
}

}  // namespace

TEST_CASE("same padding puts the odd pixel at the end") {
  const auto pads = [](std::int64_t in, std::int64_t kernel, std::int64_t stride) {
    const Window same = Window::same({1, in, 5}, kernel, stride);
    CHECK(same.out_height(in) == (in + stride - 1) / stride);
    CHECK(same.out_width(5) == (5 + stride - 1) / stride);
    return std::pair(same.pad_top, same.pad_bottom);
  };
  CHECK(pads(32, 3, 2) == std::pair<std::int64_t, std::int64_t>(0, 1));
  CHECK(pads(33, 3, 2) == std::pair<std::int64_t, std::int64_t>(1, 1));
  CHECK(pads(4, 3, 2) == std::pair<std::int64_t, std::int64_t>(0, 1));
  CHECK(pads(1, 2, 2) == std::pair<std::int64_t, std::int64_t>(0, 1));
  CHECK(pads(2, 3, 2) == std::pair<std::int64_t, std::int64_t>(0, 1));
  CHECK(pads(7, 4, 1) == std::pair<std::int64_t, std::int64_t>(1, 2));
  CHECK(pads(9, 1, 3) == std::pair<std::int64_t, std::int64_t>(0, 0));  // kernel below stride
}

TEST_CASE("windows count positions by floor and differ per axis") {
  Graph graph("test", {4, 13, 10});
  const int conv = graph.conv(0, "conv", 6, {window(5, 2, 3, 2, 1, 0, 0, 3), 2, false});
  CHECK(graph.shape(conv) == Shape{6, (13 + 1 - 5) / 3 + 1, (10 + 3 - 2) / 2 + 1});
  CHECK(graph.shape(conv) == Shape{6, 4, 6});
  CHECK(graph.parameters().front().dims == std::vector<std::int64_t>{6, 2, 5, 2});
  CHECK(graph.parameters().front().fan_in == 20);
  CHECK(graph.layer(conv).forward_macs() == 6 * 4 * 6 * 2 * 5 * 2);
  CHECK(graph.shape(graph.max_pool(0, "pool", Window::square(2, 2))) ==
        Shape{4, 6, 5});  // last row dropped
  CHECK(graph.shape(graph.avg_pool(0, "whole", window(13, 10, 1, 1))) == Shape{4, 1, 1});
  CHECK(graph.shape(graph.global_avg_pool(0, "gap")) == Shape{4, 1, 1});
  CHECK(graph.shape(graph.zero_pad(0, "pad", window(7, 7, 7, 7, 1, 2, 3, 4))) == Shape{4, 16, 17});
  CHECK(graph.shape(graph.concat({0, 0, 0}, "concat")) == Shape{12, 13, 10});
  CHECK(graph.shape(graph.add(0, 0, "add")) == Shape{4, 13, 10});
  CHECK(Window::square(3).out_height(2) == 0);
}

TEST_CASE("gradients are needed only where something trainable is at or before") {
  Graph graph("test", {2, 4, 4});
  graph.trainable(false);
  const int frozen = graph.relu(graph.conv(0, "frozen", 3, {Window::square(3, 1, 1)}), "relu");
  graph.trainable(true);
  const int first = graph.conv(frozen, "first", 3, {Window::square(1)});
  const int norm = graph.batch_norm(first, "norm");
  const int sum = graph.add(frozen, norm, "sum");
  const int out = graph.dense(sum, "out", 5);
  const int loss = graph.loss(out);
  CHECK(!graph.needs_gradient(0));
  CHECK(!graph.needs_gradient(frozen));
  for (const int id : {first, norm, sum, out, loss}) CHECK(graph.needs_gradient(id));
  CHECK(graph.users(frozen) == std::vector<int>{first, sum});
  CHECK(graph.users(loss).empty());
  CHECK(graph.classes() == 5);

  const double frozen_macs = 3 * 16 * 2 * 9, first_macs = 3 * 16 * 3, out_macs = 48 * 5;
  CHECK(graph.forward_flops() == 2 * (frozen_macs + first_macs + out_macs));
  CHECK(graph.backward_weights_flops(frozen - 1) == 0);
  CHECK(graph.backward_data_flops(first) == 0);
  CHECK(graph.backward_weights_flops(first) == 2 * first_macs);
  CHECK(graph.training_flops() == 2 * (frozen_macs + 2 * first_macs + 3 * out_macs));
  CHECK(graph.parameter_count() == 57 + 12 + 6 + 245);
  CHECK(graph.trainable_count() == 12 + 6 + 245);
  CHECK(graph.statistics_count() == 6);
  CHECK(graph.parameters()[0].trainable == false);
  CHECK(graph.parameters()[4].name == "norm.weight");
  CHECK(graph.parameters()[4].kind == ParameterKind::gamma);
  CHECK(graph.parameters()[5].kind == ParameterKind::beta);
}

TEST_CASE("a dense layer flattens whatever comes") {
  Graph graph("test", {3, 5, 7});
  const int dense = graph.dense(0, "dense", 4, false);
  CHECK(graph.parameters().size() == 1);
  CHECK(graph.parameters()[0].dims == std::vector<std::int64_t>{4, 105});
  CHECK(graph.layer(dense).forward_macs() == 420);
  CHECK(graph.layer(dense).in == Shape{3, 5, 7});
}

TEST_CASE("what makes no sense is refused by the layer's name") {
  const ConvOptions conv3{Window::square(3)};
  CHECK(names(refused_by([&](Graph& g) { g.conv(0, "c", 0, conv3); }), "c"));
  CHECK(names(refused_by([&](Graph& g) { g.conv(0, "c", 4, conv3); }, {3, 2, 8}), "c"));
  CHECK(names(refused_by([&](Graph& g) { g.conv(0, "c", 4, conv3); }, {3, 8, 2}), "c"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "g", 4, {Window::square(1), 3}); }), "g"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "g", 4, {Window::square(1), 0}); }), "g"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "g", 6, {Window::square(1), 2}); }), "g"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "k", 6, {Window::square(0)}); }), "k"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "s", 6, {Window::square(1, 0)}); }), "s"));
  CHECK(names(refused_by([](Graph& g) { g.conv(0, "p", 6, {window(3, 3, 1, 1, 0, 0, -1, 0)}); }), "p"));
  CHECK(names(refused_by([](Graph& g) { g.max_pool(0, "p", Window::square(9)); }), "p"));
  CHECK(names(refused_by([](Graph& g) { g.max_pool(0, "p", Window::square(2, 2, 2)); }), "p"));
  CHECK(names(refused_by([](Graph& g) { g.avg_pool(0, "p", window(3, 1, 1, 1, 0, 0, 0, 1)); }), "p"));
  CHECK(names(refused_by([](Graph& g) { g.zero_pad(0, "z", window(1, 1, 1, 1, -1)); }), "z"));
  CHECK(names(refused_by([](Graph& g) { g.dense(0, "d", 0); }), "d"));
  CHECK(names(refused_by([](Graph& g) { g.dropout(0, "d", 1); }), "d"));
  CHECK(names(refused_by([](Graph& g) { g.dropout(0, "d", -0.1); }), "d"));
  CHECK(names(refused_by([](Graph& g) { g.batch_norm(0, "b", 0); }), "b"));
  CHECK(names(refused_by([](Graph& g) { g.batch_norm(0, "b", 1e-5, 1.5); }), "b"));
  CHECK(names(refused_by([](Graph& g) { g.add(0, g.dense(0, "d", 3), "a"); }), "a"));
  CHECK(names(refused_by([](Graph& g) { g.concat({0, g.dense(0, "d", 3)}, "cat"); }), "cat"));
  CHECK(names(refused_by([](Graph& g) { g.concat({}, "cat"); }), "cat"));
  CHECK(names(refused_by([](Graph& g) { g.loss(0); }), "loss"));
  CHECK(names(refused_by([](Graph& g) { g.loss(g.dense(0, "d", 1)); }), "loss"));
  CHECK(names(refused_by([](Graph& g) { g.relu(g.loss(g.dense(0, "d", 2)), "late"); }), "late"));
  CHECK(names(refused_by([](Graph& g) { g.relu(7, "r"); }), "r"));
  CHECK(names(refused_by([](Graph& g) { g.relu(-1, "r"); }), "r"));
  CHECK(names(refused_by([](Graph& g) { g.relu(g.relu(0, "twice"), "twice"); }), "twice"));
  CHECK(!refused_by([](Graph& g) { g.relu(0, ""); }).empty());
  CHECK(!refused_by([](Graph& g) { (void)g.classes(); }).empty());
  CHECK(names(refused_by([](Graph&) {}, {3, 0, 8}), "input"));
  CHECK(refused_by([](Graph& g) { g.loss(g.dense(0, "d", 2)); }).empty());  // the refusals can fail
}
