// SPDX-License-Identifier: BSD-3-Clause
// train: what a case means, and its epochs, targets and failures when it is run.
#include "workloads/train/train.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "../nn/forwarding_executor.hpp"
#include "base/error.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

using Overrides = std::vector<std::pair<const char*, Scalar>>;

Params train_params(const Overrides& overrides) {
  Params p;
  for (const Key& key : train_keys()) p.set(key.name, key.default_value);
  for (const auto& [key, value] : overrides) p.set(key, value);
  return p;
}

Scalar whole(std::int64_t value) {
  return value;
}
Scalar text(const char* value) {
  return std::string(value);
}

/// A small case of whole epochs: 6 steps of 8 images, the last of 3; 21 test images.
Params epochs_case(const Overrides& more = {}) {
  Params p = train_params({{"batch", whole(8)},
                           {"train_images", whole(43)},
                           {"test_images", whole(21)},
                           {"test_batch", whole(10)},
                           {"whole_epochs", true}});
  for (const auto& [key, value] : more) p.set(key, value);
  return p;
}

std::unique_ptr<Workload> prepared(const Params& params, std::uint64_t seed = 42) {
  WorkContext context;
  context.params = params;
  context.seed = seed;
  auto workload = find_entry("train", "cpu")->make(context);
  workload->prepare();
  return workload;
}

/// One measured epoch, by name of the column.
std::map<std::string, double> run_epoch(Workload& workload, const Params& params, std::int32_t block) {
  workload.begin_block(block);
  for (std::int64_t i = 0; i < train_block_samples(params, 1); ++i) workload.run();
  workload.end_block(block);
  const std::vector<Column> columns = train_epochs();
  std::vector<double> values(columns.size());
  workload.take_epoch(values);
  std::map<std::string, double> named;
  for (std::size_t i = 0; i < columns.size(); ++i) named[columns[i].name] = values[i];
  return named;
}

bool contains(const std::string& whole_text, const std::string& part) {
  return whole_text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a case of train that makes no sense is refused, the key being named") {
  CHECK(train_validate(train_params({})).empty());
  for (const Params& example : train_examples()) CHECK(train_validate(example).empty());
  const auto refused = [](const Overrides& overrides, const char* word) {
    const std::string problem = train_validate(train_params(overrides));
    INFO(problem);
    CHECK(contains(problem, word));
  };
  refused({{"batch", whole(65)}, {"train_images", whole(64)}}, "batch = 65");
  refused({{"image", whole(27)}, {"data", text("synthetic")}}, "image = 27");
  refused({{"classes", whole(9)}, {"data", text("synthetic")}}, "classes = 9");
  refused({{"classes", whole(1)}}, "classes = 1");
  refused({{"target_accuracy", 0.9}}, "whole_epochs");
  refused({{"train_images", whole(10'000'001)}}, "train_images");
  refused({{"algorithm", text("winograd")}, {"dtype", text("bf16")}}, "winograd");
  CHECK(train_validate(train_params({{"target_accuracy", 0.9}, {"whole_epochs", true}})).empty());
}

TEST_CASE("auto means the synthetic set where it fits, else random images") {
  const auto source = [](const Overrides& overrides) {
    return train_data(train_params(overrides)).source;
  };
  CHECK(source({}) == "synthetic");
  CHECK(source({{"image", whole(64)}}) == "synthetic");
  CHECK(source({{"image", whole(65)}}) == "random");
  CHECK(source({{"model", text("vgg19")}, {"image", whole(32)}}) == "random");  // 1000 classes
  CHECK(source({{"model", text("vgg19")}, {"image", whole(32)}, {"classes", whole(10)}}) == "synthetic");
  CHECK(source({{"model", text("resnet50v2")}}) == "random");
  CHECK(source({{"data", text("random")}}) == "random");
  CHECK(source({{"data", text("/data/mnist")}}) == "/data/mnist");
}

TEST_CASE("steps of an epoch: all images with whole epochs, full batches only without") {
  const nn::Shape input{1, 28, 28};
  const Params epochs = epochs_case();
  CHECK(train_block_samples(epochs, 4) == 6);
  CHECK_FALSE(train_loader_options(epochs, input, 1, false).drop_last);
  CHECK(train_loader_options(epochs, input, 1, false).shuffle);
  const Params steps = train_params({});
  CHECK(train_block_samples(steps, 4) == 0);
  CHECK(train_loader_options(steps, input, 1, false).drop_last);
  const nn::LoaderOptions test = train_loader_options(epochs, input, 1, true);
  CHECK_FALSE(test.drop_last);
  CHECK_FALSE(test.shuffle);
  CHECK(test.batch == 10);
  // Its own batch by default, never more than there are images.
  CHECK(train_test_batch(epochs_case({{"test_batch", whole(0)}})) == 8);
  CHECK(train_test_batch(epochs_case({{"test_batch", whole(1000)}})) == 21);
}

TEST_CASE("an epoch's values: all images, a validation, parts within the time") {
  const Params params = epochs_case();
  const auto workload = prepared(params);
  const auto first = run_epoch(*workload, params, 0);
  const auto second = run_epoch(*workload, params, 1);
  for (const auto& epoch : {first, second}) {
    CHECK(epoch.at("images") == 43);
    CHECK(epoch.at("loss") > 0);
    CHECK(std::isfinite(epoch.at("test_loss")));
    const double correct = 21 * epoch.at("test_accuracy");
    CHECK(correct == Approx(std::round(correct)));  // a count of images
    CHECK(epoch.at("train") > 0);
    CHECK(epoch.at("validate") > 0);
    CHECK(epoch.at("cpu") > 0);
    CHECK(epoch.at("stall") > 0);
    CHECK(epoch.at("stall") <= epoch.at("train"));
  }
  CHECK(second.at("loss") != first.at("loss"));
  CHECK(nlohmann::json::parse(workload->results()).at("synthetic") == true);
  CHECK(nlohmann::json::parse(workload->results()).at("steps") == 12);
}

TEST_CASE("an epoch is spent on nothing that belongs before it") {
  const Params params = epochs_case();
  const auto workload = prepared(params);
  const auto held = [&] { return nlohmann::json::parse(workload->results()).at("executor_bytes"); };
  const auto before = held();
  run_epoch(*workload, params, 0);
  CHECK(held() == before);  // the programs of the validation were there
}

TEST_CASE("epochs start from the same first weights, whatever warmed up before") {
  const Params params = epochs_case();
  const auto cold = prepared(params), warm = prepared(params);
  warm->begin_block(-1);
  for (int i = 0; i < 8; ++i) warm->run();  // beyond the end of an epoch
  warm->end_block(-1);
  for (std::int32_t block = 0; block < 2; ++block) {
    const auto a = run_epoch(*cold, params, block), b = run_epoch(*warm, params, block);
    CHECK(a.at("loss") == b.at("loss"));
    CHECK(a.at("test_loss") == b.at("test_loss"));
    CHECK(a.at("test_accuracy") == b.at("test_accuracy"));
  }
  const auto other = prepared(params, 43);
  CHECK(run_epoch(*other, params, 0).at("loss") != run_epoch(*prepared(params), params, 0).at("loss"));
}

TEST_CASE("without whole epochs the run goes on into the next epoch") {
  // 4 full batches, then 3 images that are left out.
  const Params params =
      train_params({{"batch", whole(5)}, {"train_images", whole(23)}, {"workers", whole(1)}});
  const auto workload = prepared(params);
  workload->begin_block(0);
  for (int i = 0; i < 11; ++i) workload->run();
  workload->end_block(0);
  CHECK(nlohmann::json::parse(workload->results()).at("steps") == 11);
  std::vector<double> parts(6);
  workload->take_parts(parts);
  CHECK(std::accumulate(parts.begin(), parts.end(), 0.0) > 0);
  CHECK(parts[4] == 0);  // reduce: one rank
  CHECK(workload->verify().passed());
}

TEST_CASE("a missed accuracy is a failed check that says so") {
  const Params params = epochs_case({{"target_accuracy", 0.9999}});
  const auto workload = prepared(params);
  const double reached = run_epoch(*workload, params, 0).at("test_accuracy");
  REQUIRE(reached < 0.9999);
  const Check check = workload->verify();
  INFO(check.message);
  CHECK_FALSE(check.passed());
  CHECK(check.error == Approx(0.9999 - reached));
  CHECK(check.tolerance == 0);
  CHECK(contains(check.message, "test accuracy"));
  CHECK(contains(check.message, "0.9999"));
  CHECK(contains(check.message, "after 1 epoch)"));
}

TEST_CASE("an accuracy that is reached is not the whole check") {
  const Params params = epochs_case({{"target_accuracy", 1e-9}});
  const auto workload = prepared(params);
  REQUIRE(run_epoch(*workload, params, 0).at("test_accuracy") > 0);
  const Check check = workload->verify();
  CHECK(check.passed());
  CHECK(check.message.empty());
  CHECK(contains(check.method, "every layer"));
}

TEST_CASE("no epoch, no accuracy: the target is missed") {
  const auto workload = prepared(epochs_case({{"target_accuracy", 1e-9}}));
  CHECK_FALSE(workload->verify().passed());
}

namespace {

/// The check of one step of `graph`, made by `changed`, which may be another executor on top of the real
/// one that gets it.
Check check_of(const nn::Graph& graph, const Params& params,
               const std::function<std::unique_ptr<nn::Executor>(nn::Executor&)>& changed) {
  const auto real = nn::make_cpu_executor(graph, train_options(params, 1, 3));
  const auto executor = changed(*real);
  const int batch = network_batch(params);
  executor->prepare(batch, nn::Mode::training);
  executor->initialise();
  std::vector<float> images(static_cast<std::size_t>(batch) *
                            static_cast<std::size_t>(graph.shape(0).count()));
  fill_uniform(std::span(images), 3, 1);
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(batch), 1);
  executor->load(images, labels, batch, nn::Mode::training);
  return check_layers(graph, *executor, batch, nn::Mode::training, labels, params, 3);
}

/// Shows its pieces to a check but for some.
class Hiding final : public nn::ForwardingExecutor {
 public:
  Hiding(nn::Executor& real, std::function<bool(const nn::LayerView&)> hidden)
      : ForwardingExecutor(real), hidden_(std::move(hidden)) {}
  void observe(std::function<void(const nn::LayerView&)> observer) override {
    if (!observer) return ForwardingExecutor::observe({});
    ForwardingExecutor::observe([observer = std::move(observer), this](const nn::LayerView& view) {
      if (!hidden_(view)) observer(view);
    });
  }

 private:
  std::function<bool(const nn::LayerView&)> hidden_;
};

}  // namespace

TEST_CASE("a check that has not seen every layer in every pass fails") {
  const Params params = train_params({{"batch", whole(2)}, {"image", whole(8)}});
  const nn::Graph graph = network_graph(params);
  const auto check_without = [&](const std::function<bool(const nn::LayerView&)>& hidden) {
    return check_of(graph, params,
                    [&](nn::Executor& real) { return std::make_unique<Hiding>(real, hidden); });
  };
  CHECK(check_without([](const nn::LayerView&) { return false; }).passed());
  const Check nothing = check_without([](const nn::LayerView&) { return true; });
  CHECK_FALSE(nothing.passed());
  CHECK(contains(nothing.message, "the check has seen 0 of "));
  for (const bool backward : {false, true})
    for (const char* name : {"conv2", "bn1", "pool1", "fc1", "loss"}) {
      const Check check = check_without([&](const nn::LayerView& view) {
        const int first = view.fused.empty() ? view.layer : view.fused.front();
        return view.backward == backward && graph.layer(first).name == name;
      });
      INFO(name << (backward ? " backward: " : " forward: ") << check.message);
      CHECK_FALSE(check.passed());
      CHECK(contains(check.message, backward ? "of the backward pass" : "of the forward pass"));
    }
}

TEST_CASE("only what is computed by Winograd's algorithm is judged as such") {
  // Strided convolutions, which no library has it for: asking for it changes no bit and no judgement.
  const auto check_with = [](const char* algorithm) {
    const Params params = train_params(
        {{"model", text("aalto-conv2d")}, {"batch", whole(2)}, {"algorithm", text(algorithm)}});
    const nn::Graph graph = network_graph(params);
    int conv = 0;
    while (graph.layer(conv).name != "conv2") ++conv;
    return check_of(graph, params, [&](nn::Executor& real) {
      real.corrupt(conv, false, 100);
      return std::make_unique<nn::ForwardingExecutor>(real);
    });
  };
  const Check direct = check_with("direct");
  INFO(direct.method);
  REQUIRE_FALSE(direct.passed());
  REQUIRE(contains(direct.method, "conv2 forward"));
  CHECK(check_with("winograd").error == direct.error);
}

TEST_CASE("a run that explodes throws within steps") {
  const Params params = epochs_case({{"optimizer", text("sgd")}, {"lr", 1e6}});
  const auto workload = prepared(params);
  std::string message;
  try {
    run_epoch(*workload, params, 0);
  } catch (const Error& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(contains(message, "training failed at step 2: "));
}

TEST_CASE("the memory that was predicted is what is held") {
  for (const Overrides& overrides :
       std::initializer_list<Overrides>{{{"batch", whole(64)}},
                                        {{"batch", whole(64)}, {"algorithm", text("direct")}},
                                        {{"batch", whole(16)}, {"optimizer", text("sgd")}}}) {
    const Params params = train_params(overrides);
    const nn::Graph graph = network_graph(params);
    const double predicted =
        predicted_memory(graph, train_options(params, 1, 0), network_batch(params), nn::Mode::training)
            .total();
    Params small = params;
    small.set("train_images", whole(64));
    const auto workload = prepared(small);
    const double held = nlohmann::json::parse(workload->results()).at("executor_bytes");
    INFO(held << " held, " << predicted << " predicted");
    CHECK(held / predicted > 0.85);
    CHECK(held / predicted < 1.15);
  }
}

TEST_CASE("memory grows with the batch, the set, and a validation's batch") {
  const auto memory = [](const Overrides& overrides) {
    return train_cost(train_params(overrides), 1, 2).memory_bytes;
  };
  const double base = memory({});
  CHECK(memory({{"batch", whole(128)}}) > base);
  CHECK(memory({{"train_images", whole(120000)}}) == Approx(base + 60000 * 785));
  CHECK(memory({{"optimizer", text("sgd")}}) < base);
  CHECK(memory({{"whole_epochs", true}, {"test_batch", whole(1000)}}) >
        memory({{"whole_epochs", true}, {"test_batch", whole(10)}}));
  CHECK(memory({{"workers", whole(4)}}) > base);
}

TEST_CASE("training on several ranks: what makes no sense is refused, the key being named") {
  const auto data = [](Overrides more) {
    more.insert(more.begin(), {"parallel", text("data")});
    return train_params(more);
  };
  const auto refused = [](const Params& params, const char* words) {
    const std::string problem = train_validate(params);
    INFO(problem);
    CHECK(contains(problem, words));
  };
  CHECK(train_validate(data({})).empty());
  CHECK(train_validate(data({{"scaling", text("strong")}, {"global_batch", whole(256)}})).empty());
  refused(data({{"scaling", text("strong")}}), "needs global_batch");
  refused(data({{"global_batch", whole(256)}}), "needs scaling = strong");
  refused(train_params({{"global_batch", whole(256)}}), "global_batch needs parallel = data");
  refused(train_params({{"scaling", text("strong")}}), "scaling = strong needs parallel = data");
  refused(data({{"scaling", text("strong")}, {"global_batch", whole(256)}, {"layers", true}}), "layers");
  const Entry& entry = *find_entry("train", "cpu");
  CHECK(entry.is_distributed(data({})));
  CHECK_FALSE(entry.is_distributed(train_params({})));
  CHECK(contains(entry.unavailable(data({{"overlap", text("thread")}})), "MPI_THREAD_MULTIPLE"));
  CHECK(entry.unavailable(data({{"overlap", text("test")}})).empty());
}

TEST_CASE("a batch that does not divide, or leaves an epoch without a step, suits no such ranks") {
  const Params strong = train_params({{"parallel", text("data")},
                                      {"scaling", text("strong")},
                                      {"global_batch", whole(256)},
                                      {"train_images", whole(300)}});
  CHECK(train_unsuited(strong, 4).empty());
  CHECK(contains(train_unsuited(strong, 3), "global_batch = 256 does not divide by 3 ranks"));
  const Params weak =
      train_params({{"parallel", text("data")}, {"batch", whole(64)}, {"train_images", whole(300)}});
  CHECK(train_unsuited(weak, 4).empty());
  CHECK(contains(train_unsuited(weak, 5), "320 images, train_images = 300"));
  CHECK(train_unsuited(train_params({{"batch", whole(64)}, {"train_images", whole(70)}}), 1000).empty());
}

TEST_CASE("work of all ranks: weak scaling grows it, strong scaling does not; who sends what") {
  const Params alone = train_params({{"batch", whole(32)}, {"train_images", whole(1000)}});
  Params weak = alone;
  weak.set("parallel", text("data"));
  Params strong = weak;
  strong.set("scaling", text("strong"));
  strong.set("global_batch", whole(96));
  const Cost one = train_cost(alone, 1, 1);
  CHECK(train_cost(alone, 7, 1).flops == one.flops);
  for (const int ranks : {1, 3}) {
    CHECK(train_cost(weak, ranks, 1).flops == ranks * one.flops);
    CHECK(train_cost(weak, ranks, 1).items == ranks * 32);
    CHECK(train_cost(strong, ranks, 1).flops == Approx(3 * one.flops));
    CHECK(train_cost(strong, ranks, 1).items == 96);
    // 422,474 gradients, each tensor rounded up to a cache line.
    CHECK(train_cost(weak, ranks, 1).bytes_sent ==
          Approx(2.0 * (ranks - 1) * 4 * 422'474).epsilon(1e-3));
  }
  CHECK(train_cost(weak, 3, 1).memory_bytes == one.memory_bytes);
  CHECK(train_cost(strong, 3, 1).memory_bytes < train_cost(strong, 1, 1).memory_bytes);
  double bytes = 0;
  for (const double bucket : train_buckets(weak)) bytes += bucket;
  CHECK(bytes == Approx(4 * 422'474).epsilon(1e-3));
  CHECK(train_buckets(alone).empty());
  weak.set("bucket_bytes", whole(100'000));
  CHECK(train_buckets(weak).size() > 4);
  // Steps of an epoch: every rank has its part of the images, the last rounded up.
  weak.set("whole_epochs", true);
  CHECK(train_block_samples(weak, 1) == 32);  // ⌈1000 / 32⌉
  CHECK(train_block_samples(weak, 3) == 11);  // ⌈334 / 32⌉
  strong.set("whole_epochs", true);
  CHECK(train_block_samples(strong, 3) == 11);
  CHECK(train_block_samples(strong, 1) == 11);  // ⌈1000 / 96⌉
}
