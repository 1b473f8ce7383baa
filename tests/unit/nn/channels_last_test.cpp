// SPDX-License-Identifier: BSD-3-Clause
// The GPU's order of values, and what its executor is said to hold.
#include "nn/channels_last.hpp"

#include <numeric>
#include <vector>

#include "dlscale_catch.hpp"
#include "nn/gpu_memory.hpp"
#include "nn/models.hpp"

using namespace dlscale;
using namespace dlscale::nn;

TEST_CASE("channels last is a permutation and has its inverse") {
  const Shape shape{3, 2, 5};
  std::vector<float> canonical(2 * 30), own(canonical.size()), back(canonical.size());
  std::iota(canonical.begin(), canonical.end(), 0.0F);
  to_channels_last(std::span<const float>(canonical), shape, std::span(own));
  // Image 1, channel 2, row 1, column 3.
  CHECK(own[30 + (1 * 5 + 3) * 3 + 2] == canonical[30 + (2 * 2 + 1) * 5 + 3]);
  from_channels_last(std::span<const float>(own), shape, std::span(back));
  CHECK(back == canonical);
}

TEST_CASE("blocks of parameters") {
  Graph graph("g", {4, 6, 5});
  const int conv = graph.conv(0, "conv", 8, {Window::square(3, 1, 1), 2, true});
  const int dense = graph.dense(conv, "dense", 3);
  graph.loss(dense);
  const auto block = [&](int layer, std::size_t i) {
    return parameter_block(
        graph, graph.parameters()[static_cast<std::size_t>(graph.layer(layer).parameters[i])]);
  };
  CHECK(block(conv, 0) == Shape{2, 3, 3});
  CHECK(block(conv, 1) == Shape{1, 1, 1});
  CHECK(block(dense, 0) == Shape{8, 6, 5});
}

TEST_CASE("memory of the GPU's executor") {
  const Graph graph = find_model("vgg19")->build({.image = 64});
  ExecutorOptions options;
  const auto held = [&](Precision precision, int batch, Mode mode) {
    options.precision = precision;
    options.trains = mode == Mode::training;
    return predicted_gpu_memory(graph, options, batch, mode);
  };
  const auto f32 = held(Precision::f32, 8, Mode::training),
             bf16 = held(Precision::bf16, 8, Mode::training);
  const auto count = static_cast<double>(graph.parameter_count());
  CHECK(f32.parameters >= 16 * count);  // Adam: values, gradients, two of state
  CHECK(f32.parameters < 16.1 * count);
  CHECK(bf16.parameters > 18 * count);
  // Training keeps every output, inference two or three of them.
  double outputs = 0;
  for (const Layer& layer : graph.layers())
    if (layer.op != Op::relu) outputs += static_cast<double>(layer.out.count());
  CHECK(f32.arena >= 4 * 8 * outputs);
  CHECK(f32.arena < 8 * 8 * outputs);
  CHECK(bf16.arena < 0.7 * f32.arena);
  CHECK(held(Precision::f32, 8, Mode::inference).arena < 0.5 * f32.arena);
  CHECK(held(Precision::f32, 16, Mode::training).arena == Approx(2 * f32.arena).epsilon(0.01));
}
