// SPDX-License-Identifier: BSD-3-Clause
// What the CPU executor promises besides its numbers: seeds, buckets, memory, what checks are told,
// failures.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "executor_tools.hpp"
#include "nn/executor.hpp"
#include "nn/models.hpp"
#include "nn/onednn/host_ops.hpp"
#include "nn/reference/check_inference.hpp"
#include "nn/winograd.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

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
