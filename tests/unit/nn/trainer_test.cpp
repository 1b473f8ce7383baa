// SPDX-License-Identifier: BSD-3-Clause
// The trainer's schedule on a scripted executor.
#include "nn/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/clock.hpp"
#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "scripted_executor.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double ms = 1e-3;

}  // namespace

TEST_CASE("an epoch has every image once, its last batch is smaller") {
  const Graph graph = network();
  const auto set = images(23, 1);
  const auto loader = make_loader(set, false, batches_of(5));
  Scripted executor;
  Trainer trainer(graph, executor, *loader, 5);
  CHECK(executor.prepared ==
        std::vector<std::pair<int, Mode>>{{5, Mode::training}, {3, Mode::training}});
  CHECK(std::isnan(trainer.epoch_loss()));
  for (int epoch = 0; epoch < 2; ++epoch) {
    executor.loaded.clear();
    trainer.start_epoch(epoch);
    for (int step = 0; step < 5; ++step) REQUIRE(trainer.step());
    CHECK(trainer.steps() == 5 * (epoch + 1));
    const auto calls = executor.calls;
    CHECK_FALSE(trainer.step());
    CHECK(executor.calls == calls);  // nothing was done at the end
    CHECK(trainer.steps() == 5 * (epoch + 1));
    CHECK(trainer.epoch_images() == 23);
    // The mean over images, not over steps (23 / 5 = 4.6).
    CHECK(trainer.epoch_loss() == Approx((4 * 5 * 5 + 3 * 3) / 23.0));
    CHECK(trainer.last_loss() == 3);
    std::vector<std::int32_t> labels;
    for (const auto& [part, mode] : executor.loaded) {
      labels.insert(labels.end(), part.begin(), part.end());
      CHECK(mode == Mode::training);
    }
    std::vector<std::int32_t> expected(set->train.labels.begin(), set->train.labels.end());
    CHECK(labels != expected);  // shuffled
    std::sort(labels.begin(), labels.end());
    std::sort(expected.begin(), expected.end());
    CHECK(labels == expected);
  }
  CHECK(executor.calls.size() == 2 * 5 * 4);
  CHECK(std::vector<std::string>(executor.calls.begin(), executor.calls.begin() + 4) ==
        std::vector<std::string>{"load", "forward", "backward", "update"});
}

TEST_CASE("without the remainder an epoch has full batches only") {
  const Graph graph = network();
  LoaderOptions options = batches_of(5);
  options.drop_last = true;
  const auto loader = make_loader(images(23, 1), false, options);
  Scripted executor;
  Trainer trainer(graph, executor, *loader, 5);
  CHECK(executor.prepared == std::vector<std::pair<int, Mode>>{{5, Mode::training}});
  trainer.start_epoch(0);
  while (trainer.step()) CHECK(executor.loaded.back().first.size() == 5);
  CHECK(trainer.steps() == 4);
  CHECK(trainer.epoch_images() == 20);
}

TEST_CASE("the parts of steps are disjoint and complete") {
  const Graph graph = network();
  const auto loader = make_loader(images(12, 1), false, batches_of(4));
  Scripted executor;
  // Different enough for a part that is booked under another's name to show.
  executor.sleep_ms = {{"load", 2}, {"forward", 5}, {"backward", 11}, {"update", 3}};
  Trainer trainer(graph, executor, *loader, 4);
  trainer.start_epoch(0);
  std::array<double, 6> parts{};
  trainer.take_parts(parts);
  CHECK(std::accumulate(parts.begin(), parts.end(), 0.0) == 0);
  const std::int64_t begin = now_ns();
  for (int i = 0; i < 3; ++i) REQUIRE(trainer.step());
  const double wall = seconds_since(begin);
  trainer.take_parts(parts);
  const auto part = [&](StepPart p) { return parts[static_cast<std::size_t>(p)]; };
  CHECK(part(StepPart::load) > 0);
  CHECK(part(StepPart::copy) >= 3 * 2 * ms);
  CHECK(part(StepPart::forward) >= 3 * 5 * ms);
  CHECK(part(StepPart::backward) >= 3 * 11 * ms);
  CHECK(part(StepPart::reduce) == 0);
  CHECK(part(StepPart::update) >= 3 * 3 * ms);
  CHECK(std::accumulate(parts.begin(), parts.end(), 0.0) <= wall);
  // Taken once only; what is too short for all is no error.
  trainer.take_parts(parts);
  CHECK(std::accumulate(parts.begin(), parts.end(), 0.0) == 0);
  trainer.take_parts(std::span(parts).first(2));
}

TEST_CASE("a replica reduces every bucket when it is ready, and averages") {
  const Graph graph = network();
  const auto loader = make_loader(images(12, 1), false, batches_of(4));
  Replica replica(graph, *loader, 3);
  Scripted& executor = replica.executor;
  Trainer& trainer = replica.trainer;
  REQUIRE(trainer.step());
  CHECK(executor.calls == std::vector<std::string>{"load", "forward", "backward", "progress", "start 0",
                                                   "progress", "start 1", "wait", "finish", "update"});
  std::array<double, 6> parts{};
  trainer.take_parts(parts);
  CHECK(parts[static_cast<std::size_t>(StepPart::reduce)] >= ScriptedReducer::finish_ms * ms);
  CHECK(parts[static_cast<std::size_t>(StepPart::update)] < ScriptedReducer::finish_ms * ms);
}

TEST_CASE("a replica whose loss explodes takes part in the reduction, with a NaN for all to see") {
  const Graph graph = network();
  const auto loader = make_loader(images(12, 1), false, batches_of(4));
  Replica replica(graph, *loader);
  Scripted& executor = replica.executor;
  Trainer& trainer = replica.trainer;
  executor.loss_of = {{2, 1e9}};
  REQUIRE(trainer.step());
  executor.calls.clear();
  const std::string message = message_of([&] { trainer.step(); });
  INFO(message);
  CHECK(contains(message, "training failed at step 2: the loss is 1e+09"));
  CHECK(executor.calls.back() == "update");
  CHECK_FALSE(executor.finite());  // as everywhere after the sum
  // The others find a NaN after the update, which the sum has brought them.
  Replica other(graph, *loader);
  other.executor.buckets().front().gradients[0] = std::nanf("");
  CHECK_THROWS_AS(other.trainer.step(), TrainingFailed);
}

TEST_CASE("a parameter that is broken in one replica alone is not a failure of all") {
  const Graph graph = network();
  const auto loader = make_loader(images(12, 1), false, batches_of(4));
  Replica replica(graph, *loader);
  Scripted& executor = replica.executor;
  Trainer& trainer = replica.trainer;
  executor.broken_update = 1;
  executor.broken_tensor = "conv2.weight";
  // TrainingFailed would be taken for what all replicas throw.
  bool alone = false;
  const std::string message = message_of([&] {
    try {
      trainer.step();
    } catch (const TrainingFailed&) {
      throw;
    } catch (const Error&) {
      alone = true;
      throw;
    }
  });
  INFO(message);
  CHECK(alone);
  CHECK(contains(message, "training failed at step 1: a parameter is not finite"));
  CHECK(contains(message, "conv2.weight of this replica"));
}

TEST_CASE("an evaluation counts every test image once") {
  const Graph graph = network();
  const auto set = images(8, 17);
  const auto loader = make_loader(set, false, batches_of(4));
  LoaderOptions options = batches_of(6, GENERATE(0, 2));
  options.shuffle = false;
  const auto test = make_loader(set, true, options);
  Scripted executor;
  Trainer trainer(graph, executor, *loader, 4);
  executor.prepared.clear();
  trainer.prepare_evaluation(*test, 6);
  CHECK(executor.prepared ==
        std::vector<std::pair<int, Mode>>{{6, Mode::inference}, {5, Mode::inference}});
  for (int repetition = 0; repetition < 2; ++repetition) {
    executor.loaded.clear();
    const Evaluation result = trainer.evaluate(*test);
    CHECK(result.images == 17);
    CHECK(result.loss == Approx((2 * 6 * 6 + 5 * 5) / 17.0));
    const auto threes = std::count(set->test.labels.begin(), set->test.labels.end(), 3);
    CHECK(result.accuracy == Approx(static_cast<double>(threes) / 17));
    std::vector<std::int32_t> labels;
    for (const auto& [part, mode] : executor.loaded) {
      labels.insert(labels.end(), part.begin(), part.end());
      CHECK(mode == Mode::inference);
    }
    CHECK(labels == std::vector<std::int32_t>(set->test.labels.begin(), set->test.labels.end()));
  }
  CHECK(executor.prepared.size() == 2);  // an evaluation is timed: it prepares nothing
  CHECK(trainer.steps() == 0);
  CHECK(executor.updates == 0);
}

TEST_CASE("a loss that is no number or explodes ends training, step and tensor named") {
  const Graph graph = network();
  const auto loader = make_loader(images(40, 4), false, batches_of(4));
  Scripted executor;
  Trainer trainer(graph, executor, *loader, 4);
  trainer.start_epoch(0);
  const double untrained = std::log(10.0);
  executor.loss_of = {{1, 0}, {2, 99.9 * untrained}};
  REQUIRE(trainer.step());
  REQUIRE(trainer.step());
  const auto fails = [&](const std::string& why, const std::string& tensor) {
    const std::string message = message_of([&] { trainer.step(); });
    INFO(message);
    CHECK(contains(message, "training failed at step 3: "));
    CHECK(contains(message, why));
    CHECK(contains(message, tensor));
  };
  SECTION("NaN") {
    executor.loss_of[3] = not_a_number;
    executor.broken_tensor = "output of bn1";
    fails("the loss is nan", "first tensor that is not finite: output of bn1");
    CHECK(executor.updates == 2);  // it has spoilt nothing
    CHECK(trainer.steps() == 2);
  }
  SECTION("infinite") {
    executor.loss_of[3] = std::numeric_limits<double>::infinity();
    executor.broken_tensor = "conv1.weight";
    fails("the loss is inf", "conv1.weight");
  }
  SECTION("finite, but far beyond an untrained network's") {
    executor.loss_of[3] = 100.1 * untrained;
    executor.largest_of = {1.0F, 2.0F, -7e5F, 3.0F};
    fails("the loss is 230.5", "largest weights: " + graph.parameters()[2].name + ", up to 7e+05");
  }
  SECTION("a parameter after the update, the loss being fine") {
    executor.broken_update = 3;
    executor.broken_tensor = "fc3.bias";
    fails("after the update", "fc3.bias");
  }
  SECTION("in the validation") {
    executor.loss_of[4] = not_a_number;  // of its second batch
    executor.broken_tensor = "output of bn2";
    LoaderOptions options = batches_of(2);
    options.shuffle = false;
    const auto test = make_loader(images(40, 4), true, options);
    const std::string message = message_of([&] { trainer.evaluate(*test); });
    INFO(message);
    CHECK(contains(message, "training failed in the validation after step 2: "));
    CHECK(contains(message, "nan"));
    CHECK(contains(message, "output of bn2"));
  }
}
