// SPDX-License-Identifier: BSD-3-Clause
// Training on an executor whose device goes on while the host looks at the step before.
#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "forwarding_executor.hpp"
#include "nn/models.hpp"
#include "nn/trainer.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

constexpr int case_batch = 4;

/// Computes at once, but tells of it only when it is asked, as a device would.
class Ahead final : public ForwardingExecutor {
 public:
  explicit Ahead(Executor& real) : ForwardingExecutor(real), real_(real) {}
  int broken_step = -1, wild_step = -1;
  std::size_t most_waiting = 0;
  bool ahead = true;

  bool runs_ahead() const override { return ahead; }
  void whole_step() override {
    real_.forward();
    real_.backward({});
    real_.update(1);
    ++steps_;
    Outcome outcome{real_.loss(), real_.finite()};
    if (steps_ == broken_step) outcome.finite = false;
    if (steps_ == wild_step) outcome.loss = std::nan("");
    waiting_.push_back(outcome);
    most_waiting = std::max(most_waiting, waiting_.size());
  }
  Outcome take_outcome() override {
    REQUIRE(!waiting_.empty());
    const Outcome outcome = waiting_.front();
    waiting_.pop_front();
    return outcome;
  }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  Executor& real_;
  int steps_ = 0;
  std::deque<Outcome> waiting_;
};

struct TrainingCase {
  Graph graph = find_model("topflight-cnn")->build({.image = 8, .classes = 10, .dropout = 0.5});
  ExecutorOptions options{.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.05}};
  std::unique_ptr<Executor> real = make_cpu_executor(graph, options);
  Ahead executor{*real};
  std::unique_ptr<Loader> loader =
      make_random_loader(6 * case_batch, graph.classes(),
                         {.batch = case_batch, .drop_last = true, .seed = 5, .input = graph.shape(0)});
  Trainer trainer{graph, executor, *loader, case_batch};

  TrainingCase() {
    real->initialise();
    trainer.start_epoch(0);
  }
  std::vector<float> weights() const {
    std::vector<float> values(static_cast<std::size_t>(graph.parameters()[0].count()));
    real->read_parameter(0, values);
    return values;
  }
};

}  // namespace

TEST_CASE("steps ahead do what steps one by one do") {
  TrainingCase ahead, plain;
  plain.executor.ahead = false;
  for (TrainingCase* each : {&ahead, &plain}) {
    while (each->trainer.step()) {
    }
    each->trainer.settle();
  }
  CHECK(ahead.weights() == plain.weights());
  CHECK(ahead.trainer.epoch_loss() == plain.trainer.epoch_loss());
  CHECK(ahead.trainer.last_loss() == plain.trainer.last_loss());
  CHECK(ahead.trainer.epoch_images() == 6 * case_batch);
  CHECK(ahead.trainer.steps() == 6);
  CHECK(ahead.executor.most_waiting == 2);
  CHECK(ahead.executor.waiting() == 0);
}

TEST_CASE("a step that went wrong ahead is named") {
  TrainingCase wild;
  wild.executor.wild_step = 2;
  CHECK(wild.trainer.step());
  CHECK(wild.trainer.step());
  const std::string lost = failure_of([&] { wild.trainer.step(); });
  CHECK(lost.find("at step 2: the loss is nan") != std::string::npos);

  TrainingCase broken;
  broken.executor.broken_step = 1;
  CHECK(broken.trainer.step());
  const std::string spoilt = failure_of([&] { broken.trainer.settle(); });
  CHECK(spoilt.find("at step 1: a parameter is not finite") != std::string::npos);
}

TEST_CASE("parts of steps ahead are those of any step") {
  TrainingCase one;
  for (int i = 0; i < 3; ++i) one.trainer.step();
  one.trainer.settle();
  std::vector<double> parts(step_part_names.size(), -1);
  one.trainer.take_parts(parts);
  for (const double seconds : parts) CHECK(seconds >= 0);
  CHECK(parts[static_cast<std::size_t>(StepPart::forward)] > 0);
  CHECK(parts[static_cast<std::size_t>(StepPart::backward)] == 0);
}
