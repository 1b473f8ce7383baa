// SPDX-License-Identifier: BSD-3-Clause
// The CPU executor against float64, layer by layer, and against PyTorch.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "nn/executor.hpp"
#include "nn/groups.hpp"
#include "nn/models.hpp"
#include "nn/onednn/host_ops.hpp"
#include "nn/reference/check_inference.hpp"
#include "nn/winograd.hpp"
#include "topflight_fixture.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

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
Graph awkward() {
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

LayerTolerance tolerance_of(const ExecutorOptions& options) {
  LayerTolerance t;
  if (options.precision == Precision::bf16) t.u_out = 0x1p-8;
  return t;
}

// Worst verdict of one training step after `steps` steps.
LayerVerdict worst_of_step(const Graph& graph, ExecutorOptions options, int batch, int steps = 1,
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

bool has_bf16() {
  return precision_problem(Precision::bf16).empty();
}

int id_of(const Graph& graph, const std::string& name) {
  for (std::size_t i = 0; i < graph.layers().size(); ++i)
    if (graph.layers()[i].name == name) return static_cast<int>(i);
  FAIL("no layer " << name);
  return -1;
}

}  // namespace

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

TEST_CASE("the same seed and threads give the same bits, another seed does not") {
  const Graph graph = awkward();
  const auto run = [&](std::uint64_t seed, int threads) {
    ExecutorOptions options;
    options.seed = seed;
    options.threads = threads;
    const auto executor = make_cpu_executor(graph, options);
    executor->prepare(4, Mode::training);
    executor->initialise();
    const Data data(graph, 4);
    std::vector<double> losses;
    for (int i = 0; i < 4; ++i) {
      executor->load(data.images, data.labels, 4, Mode::training);
      executor->forward();
      executor->backward({});
      executor->update(1);
      losses.push_back(executor->loss());
    }
    return losses;
  };
  const int threads = GENERATE(1, 2);
  CHECK(run(3, threads) == run(3, threads));
  CHECK(run(3, threads) != run(4, threads));
}

TEST_CASE("buckets hold all parameters once, in reverse order, and are announced in order") {
  const Graph graph = find_model("topflight-cnn")->build({});
  ExecutorOptions options;
  options.first_bucket_bytes = 10'000;
  options.bucket_bytes = 300'000;
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(4, Mode::training);
  executor->initialise();
  std::vector<int> members;
  std::int64_t values = 0;
  for (const Bucket& bucket : executor->buckets()) {
    CHECK(bucket.count % 16 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(bucket.gradients) % 64 == 0);
    values += bucket.count;
    members.insert(members.end(), bucket.members.begin(), bucket.members.end());
  }
  CHECK(members.size() == graph.parameters().size());
  CHECK(std::is_sorted(members.rbegin(), members.rend()));
  CHECK(values >= graph.parameter_count());
  CHECK(executor->buckets().size() > 3);
  const Data data(graph, 4);
  executor->load(data.images, data.labels, 4, Mode::training);
  executor->forward();
  // What is announced must be final: compared with the gradients at the end.
  std::vector<std::vector<float>> announced;
  executor->backward([&](int bucket) {
    CHECK(bucket == static_cast<int>(announced.size()));
    const Bucket& b = executor->buckets()[static_cast<std::size_t>(bucket)];
    announced.emplace_back(b.gradients, b.gradients + b.count);
  });
  REQUIRE(announced.size() == executor->buckets().size());
  for (std::size_t i = 0; i < announced.size(); ++i) {
    const Bucket& b = executor->buckets()[i];
    CHECK(announced[i] == std::vector<float>(b.gradients, b.gradients + b.count));
    CHECK(std::any_of(announced[i].begin(), announced[i].end(), [](float g) { return g != 0; }));
  }
}

TEST_CASE("memory is predicted within 15 %") {
  ExecutorOptions options;
  options.precision = GENERATE(Precision::f32, Precision::bf16);
  options.algorithm = GENERATE(as<std::string>{}, "auto", "winograd");
  if (options.precision == Precision::bf16 && (!has_bf16() || options.algorithm == "winograd")) return;
  const auto [name, image, batch, mode] =
      GENERATE(table<std::string, int, int, Mode>({{"topflight-cnn", 0, 64, Mode::training},
                                                   {"topflight-cnn", 0, 200, Mode::training},
                                                   {"topflight-cnn", 0, 100, Mode::inference},
                                                   {"aalto-conv2d", 0, 8, Mode::training},
                                                   {"resnet50v2", 96, 2, Mode::training},
                                                   {"resnet50v2", 160, 4, Mode::inference},
                                                   {"vgg19", 48, 4, Mode::training}}));
  options.trains = mode == Mode::training;
  const Graph graph = find_model(name)->build({.image = image});
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(batch, mode);
  const double predicted = predicted_memory(graph, options, batch, mode).total();
  INFO(name << " " << options.algorithm << " batch " << batch << " holds " << executor->memory_bytes()
            << ", predicted " << predicted);
  CHECK(std::fabs(predicted / static_cast<double>(executor->memory_bytes()) - 1) <= 0.15);
}

TEST_CASE("Winograd's algorithm is used exactly where the library has it") {
  const Graph graph = find_model("topflight-cnn")->build({});
  ExecutorOptions options;
  options.algorithm = GENERATE(as<std::string>{}, "auto", "winograd", "direct");
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(64, Mode::training);
  const bool used = executor->facts().find("wino") != std::string::npos;
  INFO(options.algorithm << ": " << executor->facts());
  CHECK(used == (has_winograd() && options.algorithm != "direct"));
}

TEST_CASE("of every convolution and pass checks are told what the executor does") {
  ExecutorOptions options;
  options.precision = GENERATE(Precision::f32, Precision::bf16);
  if (options.precision == Precision::bf16 && !has_bf16()) return;
  options.algorithm = GENERATE(as<std::string>{}, "auto", "winograd", "direct");
  const auto [name, image, batch] = GENERATE(table<std::string, int, int>({{"awkward", 0, 3},
                                                                           {"topflight-cnn", 0, 64},
                                                                           {"aalto-conv2d", 0, 2},
                                                                           {"resnet50v2", 64, 4},
                                                                           {"vgg19", 64, 2}}));
  const Graph graph = name == "awkward" ? awkward() : find_model(name)->build({.image = image});
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(batch, Mode::training);
  executor->initialise();
  const Data data(graph, batch);
  std::map<std::string, bool> shown;  // what checks are told of each pass
  executor->observe([&](const LayerView& view) {
    const Layer& layer = graph.layer(view.fused.empty() ? view.layer : view.fused.front());
    shown[layer.name + (view.backward ? " backward data" : " forward")] = view.winograd;
    if (view.backward) shown[layer.name + " backward weights"] = view.winograd_weights;
  });
  executor->load(data.images, data.labels, batch, Mode::training);
  executor->forward();
  executor->backward({});
  const auto kernels = nlohmann::json::parse(executor->facts()).at("kernels");
  int winograd = 0, convolutions = 0;
  for (const Layer& layer : graph.layers()) {
    if (layer.op != Op::conv) continue;
    for (const char* pass : {" forward", " backward data", " backward weights"}) {
      if (!kernels.contains(layer.name + pass)) continue;  // nobody asks for the images' gradient
      const auto kernel = kernels.at(layer.name + pass).get<std::string>();
      INFO(name << " " << options.algorithm << " " << layer.name << pass << ": " << kernel);
      CHECK(shown.at(layer.name + pass) == (kernel.find("wino") != std::string::npos));
    }
    INFO(name << " " << options.algorithm << " " << layer.name);
    CHECK(by_winograd(layer, options, batch) == shown.at(layer.name + " forward"));
    winograd += by_winograd(layer, options, batch) ? 1 : 0;
    ++convolutions;
  }
  // Left to the rule, the first convolution of each, of few channels, is direct.
  if (options.algorithm == "auto") CHECK(winograd < convolutions);
  if (!has_winograd() || options.algorithm == "direct") CHECK(winograd == 0);
}

TEST_CASE("the worse of two verdicts is kept, and the first NaN stays") {
  LayerVerdict worst;
  keep_worse(worst, {0.5, "half"});
  keep_worse(worst, {0.2, "fifth"});
  CHECK(worst.what == "half");
  keep_worse(worst, {not_a_number, "none"});
  for (const double later : {0.1, 1e9, HUGE_VAL}) keep_worse(worst, {later, "later"});
  CHECK(std::isnan(worst.ratio));
  CHECK(worst.what == "none");
}

TEST_CASE("a largest logit that is NaN is no right answer, wherever it stands") {
  for (const std::size_t at : {0, 1, 2}) {
    std::vector<float> logits = {1, 2, 3};
    logits[at] = std::nanf("");
    for (const std::int32_t label : {0, 1, 2}) {
      std::int64_t correct = -1;
      const double loss =
          onednn::softmax_cross_entropy(logits, std::array{label}, 3, std::span<float>(), correct);
      CHECK(std::isnan(loss));
      CHECK(correct == 0);
    }
  }
}

TEST_CASE("a parameter that is not trained has no gradient to read or to spoil") {
  Graph graph("frozen", {4, 6, 6});
  const int first = graph.conv(0, "first", 4, {.window = Window::square(3, 1, 1)});
  graph.trainable(false);
  const int frozen = graph.conv(first, "frozen", 4, {.window = Window::square(3, 1, 1)});
  graph.trainable(true);
  graph.loss(graph.dense(frozen, "logits", 5));
  const auto executor = make_cpu_executor(graph, {});
  executor->prepare(2, Mode::training);
  executor->initialise();
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p) {
    const Parameter& parameter = graph.parameters()[static_cast<std::size_t>(p)];
    std::vector<float> values(static_cast<std::size_t>(parameter.count()));
    if (parameter.trainable)
      executor->read_gradient(p, values);
    else
      CHECK_THROWS_WITH(executor->read_gradient(p, values),
                        Catch::Matchers::Matches("frozen[.][a-z]* has no gradient[^]*"));
  }
  const Data data(graph, 2);
  executor->load(data.images, data.labels, 2, Mode::training);
  executor->corrupt(frozen, true, 1);
  executor->forward();
  CHECK_THROWS_WITH(executor->backward({}), Catch::Matchers::Matches("[^]*frozen is not trained[^]*"));
}

TEST_CASE("the first tensor that is not finite is named") {
  const Graph graph = find_model("topflight-cnn")->build({});
  const auto executor = make_cpu_executor(graph, {});
  executor->prepare(4, Mode::training);
  executor->initialise();
  Data data(graph, 4);
  executor->load(data.images, data.labels, 4, Mode::training);
  executor->forward();
  CHECK(executor->first_not_finite().empty());
  executor->corrupt(id_of(graph, "conv2"), false, std::nanf(""));
  executor->forward();
  CHECK(executor->first_not_finite() == "output of conv2");
  // The ReLU behind it may hide it from the loss, the update does not.
  executor->backward({});
  executor->update(1);
  CHECK_FALSE(executor->finite());
  executor->corrupt(-1, false, 0);
  executor->initialise();
  std::vector<float> weights(static_cast<std::size_t>(graph.parameters()[2].count()), 0.1F);
  weights[1] = HUGE_VALF;
  executor->write_parameter(2, weights);
  CHECK(executor->first_not_finite() == graph.parameters()[2].name);
}

TEST_CASE("what was not prepared is refused in a sentence") {
  const Graph graph = find_model("topflight-cnn")->build({});
  const auto executor = make_cpu_executor(graph, {});
  executor->prepare(4, Mode::training);
  const Data data(graph, 5);
  CHECK_THROWS_WITH(executor->load(data.images, data.labels, 5, Mode::training),
                    Catch::Matchers::Matches("[^]*batch of 5[^]*"));
  ExecutorOptions fixed;
  fixed.trains = false;
  CHECK_THROWS_AS(make_cpu_executor(graph, fixed)->prepare(2, Mode::training), Error);
}
