// SPDX-License-Identifier: BSD-3-Clause
/// What the tests of the CPU's executor share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "nn/executor.hpp"
#include "nn/groups.hpp"
#include "nn/reference/check_inference.hpp"

namespace dlscale::nn {

struct Data {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  Data(const Graph& graph, int batch, std::uint64_t stream = 1)
      : images(static_cast<std::size_t>(batch) * static_cast<std::size_t>(graph.shape(0).count())) {
    fill_uniform(std::span<float>(images), 7, stream);
    for (int i = 0; i < batch; ++i)
      labels.push_back(static_cast<std::int32_t>((3 * i + 1) % graph.classes()));
  }
};

// Every kind of layer, awkward sizes, tensors with two users, both kinds of join.
inline Graph awkward() {
  Graph g("awkward", {3, 11, 13});
  const int stem =
      g.conv(0, "stem", 20, {.window = {3, 5, 2, 1, 0, 1, 3, 1}, .groups = 1, .bias = true});
  const int norm = g.relu(g.batch_norm(stem, "norm"), "norm_relu");
  const int wide =
      g.conv(norm, "wide", 36, {.window = Window::square(3, 1, 1), .groups = 1, .bias = false});
  const int grouped =
      g.conv(norm, "grouped", 36, {.window = Window::square(3, 1, 1), .groups = 4, .bias = true});
  const int sum = g.add(wide, g.relu(grouped, "grouped_relu"), "sum");
  const int padded = g.zero_pad(sum, "padded", {1, 1, 1, 1, 1, 0, 0, 2});
  const int pooled = g.max_pool(padded, "pooled", {3, 2, 2, 2, 0, 0, 0, 0});
  const int average = g.avg_pool(pooled, "average", {2, 2, 1, 1, 1, 0, 0, 1}, false);
  const int counted = g.avg_pool(pooled, "counted", {2, 2, 1, 1, 1, 0, 0, 1}, true);
  const int joined = g.concat({average, counted}, "joined");
  const int lone = g.relu(joined, "lone");
  const int depthwise =
      g.conv(lone, "depthwise", 72, {.window = Window::square(3, 1, 1), .groups = 72, .bias = false});
  const int last_norm = g.batch_norm(depthwise, "last_norm");
  const int global = g.global_avg_pool(last_norm, "global");
  const int hidden = g.relu(g.dense(global, "hidden", 37), "hidden_relu");
  const int dropped = g.dropout(hidden, "dropped", 0.3);
  g.loss(g.dense(dropped, "logits", 7, false));
  return g;
}

inline LayerTolerance tolerance_of(const ExecutorOptions& options) {
  LayerTolerance t;
  if (options.precision == Precision::bf16) t.u_out = 0x1p-8;
  return t;
}

// Worst verdict of one training step after `steps` steps.
inline LayerVerdict worst_of_step(const Graph& graph, ExecutorOptions options, int batch, int steps = 1,
                                  int corrupted = -1, bool backward = false, float value = 0) {
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(batch, Mode::training);
  executor->initialise();
  const Data data(graph, batch);
  for (int i = 0; i < steps; ++i) {
    executor->load(data.images, data.labels, batch, Mode::training);
    executor->forward();
    executor->backward({});
    executor->update(1);
  }
  LayerVerdict worst;
  int forward = 0, back = 0;
  bool loss_gradient = false;
  executor->load(data.images, data.labels, batch, Mode::training);
  executor->observe([&](const LayerView& view) {
    ++(view.backward ? back : forward);
    const Layer& layer = graph.layer(view.layer);
    loss_gradient |= view.backward && layer.op == Op::softmax_cross_entropy;
    keep_worse(worst, check_layer(layer, graph, batch, view, data.labels, tolerance_of(options), 5));
  });
  if (corrupted >= 0) executor->corrupt(corrupted, backward, value);
  executor->forward();
  executor->backward({});
  CHECK(forward >= computing_groups(graph, Mode::training, false));
  CHECK(back >= computing_groups(graph, Mode::training, true));
  CHECK(loss_gradient);
  return worst;
}

inline bool has_bf16() {
  return precision_problem(Precision::bf16).empty();
}

inline int id_of(const Graph& graph, const std::string& name) {
  for (std::size_t i = 0; i < graph.layers().size(); ++i)
    if (graph.layers()[i].name == name) return static_cast<int>(i);
  FAIL("no layer " << name);
  return -1;
}

}  // namespace dlscale::nn
