// SPDX-License-Identifier: BSD-3-Clause
// The CPU executor against float64, layer by layer, and against PyTorch.
#include <algorithm>
#include <cmath>

#include "dlscale_catch.hpp"
#include "executor_tools.hpp"
#include "nn/executor.hpp"
#include "nn/models.hpp"
#include "nn/onednn/host_ops.hpp"
#include "nn/reference/check_inference.hpp"
#include "topflight_fixture.hpp"

using namespace dlscale;
using namespace dlscale::nn;

// All kinds of layers, small: valgrind runs this one.
TEST_CASE("every layer of a small step agrees with float64") {
  ExecutorOptions options;
  options.threads = GENERATE(1, 2);
  for (const Graph& graph : {awkward(), find_model("topflight-cnn")->build({})}) {
    const LayerVerdict worst = worst_of_step(graph, options, 2);
    INFO(worst.what);
    CHECK(worst.ratio <= 1);
  }
}

TEST_CASE("every layer of a step agrees with float64") {
  ExecutorOptions options;
  options.threads = GENERATE(1, 2);
  options.algorithm = GENERATE(as<std::string>{}, "auto", "direct");
  options.precision = GENERATE(Precision::f32, Precision::bf16);
  if (options.precision == Precision::bf16 && !has_bf16()) return;
  const auto [name, image, batch] = GENERATE(table<std::string, int, int>({{"awkward", 0, 3},
                                                                           {"topflight-cnn", 0, 9},
                                                                           {"aalto-conv2d", 0, 2},
                                                                           {"resnet50v2", 35, 2},
                                                                           {"vgg19", 32, 2}}));
  if (options.threads == 2 && name != "awkward" && name != "topflight-cnn") return;
  const Graph graph =
      name == "awkward" ? awkward() : find_model(name)->build({.image = image, .classes = 10});
  const LayerVerdict worst = worst_of_step(graph, options, batch);
  INFO(name << " " << options.algorithm << ": " << worst.what);
  CHECK(worst.ratio <= 1);
}

// Views judge every layer by its own inputs; how gradients are summed at a tensor with several users
// only shows in what lies below it.
TEST_CASE("gradients of a whole step are those of float64, sums at tensors with two users included") {
  const Graph graph = awkward();
  constexpr int batch = 3;
  ExecutorOptions options;
  options.algorithm = "direct";
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(batch, Mode::training);
  executor->initialise();
  const Data data(graph, batch);
  executor->load(data.images, data.labels, batch, Mode::training);
  ReferenceNetwork reference(graph, batch);
  const auto parameters = static_cast<int>(graph.parameters().size());
  for (int p = 0; p < parameters; ++p) {
    std::vector<float> values(static_cast<std::size_t>(graph.parameters()[p].count()));
    executor->read_parameter(p, values);
    reference.parameters[p].assign(values.begin(), values.end());
  }
  executor->observe([&](const LayerView& view) {
    if (!view.backward && !view.mask.empty())
      reference.masks[view.layer].assign(view.mask.begin(), view.mask.end());
  });
  executor->forward();
  executor->backward({});
  const std::vector<double> images(data.images.begin(), data.images.end());
  reference.forward(images, data.labels);
  reference.backward();
  double largest = 0;
  for (const auto& g : reference.gradients)
    largest = std::max(largest, std::sqrt(std::inner_product(g.begin(), g.end(), g.begin(), 0.0)));
  for (int p = 0; p < parameters; ++p) {
    const std::vector<double>& wanted = reference.gradients[p];
    std::vector<float> got(wanted.size());
    executor->read_gradient(p, got);
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
      size += wanted[i] * wanted[i];
    }
    INFO(graph.parameters()[p].name << ": " << std::sqrt(difference) << " of " << std::sqrt(size));
    // Rounding through 15 layers stays far below; a contribution that is lost is a matter of per cent.
    // The second term is for biases in front of a batch norm, whose gradient is zero.
    CHECK(std::sqrt(difference) <= 1e-3 * std::sqrt(size) + 1e-6 * largest);
  }
}

TEST_CASE("one wrong element of any layer is seen") {
  const Graph graph = awkward();
  ExecutorOptions options;
  for (const char* name : {"stem", "norm", "wide", "sum", "padded", "pooled", "average", "joined",
                           "lone", "depthwise", "last_norm", "global", "hidden", "dropped", "logits"}) {
    INFO(name);
    CHECK(!(worst_of_step(graph, options, 3, 1, id_of(graph, name), false, 1.7F).ratio <= 1));
    CHECK(!(worst_of_step(graph, options, 3, 1, id_of(graph, name), false, std::nanf("")).ratio <= 1));
  }
  for (const char* name : {"stem", "norm", "wide", "grouped", "depthwise", "hidden", "logits"}) {
    INFO(name);
    CHECK(!(worst_of_step(graph, options, 3, 1, id_of(graph, name), true, 0.37F).ratio <= 1));
  }
}

TEST_CASE("inference agrees with float64, folded batch norms included") {
  ExecutorOptions options;
  options.trains = false;
  options.fold = GENERATE(true, false);
  options.precision = GENERATE(Precision::f32, Precision::bf16);
  if (options.precision == Precision::bf16 && !has_bf16()) return;
  const Graph graph = GENERATE(0, 1) == 0 ? awkward() : find_model("resnet50v2")->build({.image = 37});
  const int batch = 2;
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(batch, Mode::inference);
  executor->initialise();
  for (std::size_t id = 0; id < graph.layers().size(); ++id) {
    if (graph.layers()[id].op != Op::batch_norm) continue;
    std::vector<float> mean(static_cast<std::size_t>(graph.layers()[id].out.channels)),
        variance(mean.size(), 0.5F);
    fill_uniform(std::span<float>(mean), 3, id);
    executor->write_statistics(static_cast<int>(id), mean, variance);
  }
  const Data data(graph, batch);
  executor->load(data.images, data.labels, batch, Mode::inference);
  LayerVerdict worst;
  executor->observe([&](const LayerView& view) {
    if (graph.layer(view.layer).op == Op::softmax_cross_entropy) return;
    keep_worse(worst, check_inference_layer(graph.layer(view.layer), graph, batch, view,
                                            tolerance_of(options), 5));
  });
  executor->forward();
  INFO(worst.what);
  CHECK(worst.ratio <= 1);
  CHECK(std::isfinite(executor->loss()));
}

TEST_CASE("five SGD steps of the Top Flight CNN are PyTorch's") {
  const TopflightFixture fixture;
  const Graph graph = fixture.graph();
  ExecutorOptions options;
  options.algorithm = GENERATE(as<std::string>{}, "direct", "auto");
  options.optimizer = {.kind = OptimizerKind::sgd, .lr = fixture.lr(), .momentum = fixture.momentum()};
  const auto executor = make_cpu_executor(graph, options);
  const int batch = static_cast<int>(fixture.batch());
  executor->prepare(batch, Mode::training);
  executor->initialise();
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p)
    executor->write_parameter(p, fixture.weights(graph, p));
  for (int step = 0; step < fixture.steps(); ++step) {
    const auto images = fixture.images(step);
    const auto labels = fixture.labels(step);
    executor->load(images, labels, batch, Mode::training);
    executor->forward();
    const double expected = fixture.losses()[static_cast<std::size_t>(step)];
    INFO("step " << step << " loss " << executor->loss() << " expected " << expected);
    // 16 u: every layer rounds to u = 2^-24, and the steps before have moved the weights by as much.
    CHECK(std::fabs(executor->loss() - expected) <= 1e-6 * std::max(1.0, expected));
    executor->backward({});
    executor->update(1);
  }
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p) {
    std::vector<float> now(
        static_cast<std::size_t>(graph.parameters()[static_cast<std::size_t>(p)].count()));
    executor->read_parameter(p, now);
    const std::vector<double> values(now.begin(), now.end());
    INFO(graph.parameters()[static_cast<std::size_t>(p)].name);
    CHECK(fixture.difference(graph, p, values) <= 1e-5);
  }
  const int norm = id_of(graph, "bn1");
  std::vector<float> mean(32), variance(32);
  executor->read_statistics(norm, mean, variance);
  // They follow the weights, which may be off by 1e-5. A mean is a sum over both signs, which cancel:
  // off by as much of its terms, not of itself.
  for (std::size_t c = 0; c < 32; ++c) {
    CHECK(mean[c] == Approx(fixture.record("bn1.running_mean")[c]).epsilon(1e-4).margin(1e-6));
    CHECK(variance[c] == Approx(fixture.record("bn1.running_var")[c]).epsilon(1e-5));
  }
}
