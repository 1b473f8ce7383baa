// SPDX-License-Identifier: BSD-3-Clause
#include "nn/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace dlscale::nn {
namespace {

// Images of a loader's last batch, when it is smaller than the others; 0 if not.
int remainder(const Loader& loader, int batch) {
  const std::int64_t full = loader.images() / batch;
  return loader.batches() > full ? static_cast<int>(loader.images() - full * batch) : 0;
}

// Programs for a loader's batch and its last, smaller one.
void prepare_both(Executor& executor, const Loader& loader, int batch, Mode mode) {
  executor.prepare(batch, mode);
  if (const int rest = remainder(loader, batch); rest > 0) executor.prepare(rest, mode);
}

}  // namespace

Trainer::Trainer(const Graph& graph, Executor& executor, Loader& loader, int batch)
    : graph_(graph), executor_(executor), loader_(loader) {
  prepare_both(executor_, loader, batch, Mode::training);
}

void Trainer::prepare_evaluation(const Loader& loader, int batch) {
  prepare_both(executor_, loader, batch, Mode::inference);
}

void Trainer::start_epoch(std::int64_t epoch) {
  settle();
  loader_.start_epoch(epoch);
  epoch_loss_ = 0;
  epoch_images_ = 0;
}

// `spoil`: a NaN takes part in the sum, so that all replicas fail in the step in which one does.
void Trainer::backward(bool spoil) {
  if (reducer_ == nullptr) return executor_.backward({});
  executor_.backward(
      [&](int bucket) {
        if (spoil && bucket == 0) executor_.spoil_gradients();
        reducer_->start(bucket);
      },
      [&] { reducer_->progress(); });
  // What a device has yet to compute is no time spent on reducing.
  executor_.wait();
}

bool Trainer::exploded(double loss) const {
  return !(loss <= exploding * std::log(static_cast<double>(graph_.classes())));  // NaN is not
}

void Trainer::fail_by_loss(std::int64_t step, double loss) const {
  fail(fmt::format("at step {}", step),
       fmt::format("the loss is {:.4g}, an untrained network's is {:.2f}", loss,
                   std::log(static_cast<double>(graph_.classes()))));
}

// The device is one step behind at most: while it computes, the next batch is built and copied.
void Trainer::step_ahead(const BatchView& batch) {
  const std::int64_t loaded = now_ns();
  executor_.load(batch.images, batch.labels, batch.count, Mode::training);
  const std::int64_t copied = now_ns();
  executor_.whole_step();
  const std::int64_t launched = now_ns();
  ahead_.push_back({++steps_, batch.count});
  if (ahead_.size() > 1) judge_oldest();
  *part(StepPart::copy) += copied - loaded;
  *part(StepPart::forward) += launched - copied;
  *part(StepPart::update) += now_ns() - launched;
}

void Trainer::judge_oldest() {
  const Ahead own = ahead_.front();
  ahead_.pop_front();
  const Executor::Outcome outcome = executor_.take_outcome();
  last_loss_ = outcome.loss;
  if (exploded(outcome.loss)) fail_by_loss(own.step, outcome.loss);
  if (!outcome.finite)
    fail(fmt::format("at step {}", own.step), "a parameter is not finite after the update");
  epoch_loss_ += outcome.loss * own.images;
  epoch_images_ += own.images;
}

void Trainer::settle() {
  if (ahead_.empty()) return;
  const std::int64_t begin = now_ns();
  while (!ahead_.empty()) judge_oldest();
  *part(StepPart::update) += now_ns() - begin;
}

bool Trainer::step() {
  const std::int64_t begin = now_ns();
  const BatchView batch = loader_.next();
  const std::int64_t loaded = now_ns();
  *part(StepPart::load) += loaded - begin;
  if (batch.count == 0) return false;
  if (reducer_ == nullptr && executor_.runs_ahead()) {
    step_ahead(batch);
    return true;
  }
  settle();
  executor_.load(batch.images, batch.labels, batch.count, Mode::training);
  const std::int64_t copied = now_ns();
  executor_.forward();
  last_loss_ = executor_.loss();
  const bool wild = exploded(last_loss_);
  if (wild && reducer_ == nullptr) fail_by_loss(steps_ + 1, last_loss_);
  const std::int64_t forward = now_ns();
  backward(wild);
  const std::int64_t went_back = now_ns();
  if (reducer_ != nullptr) reducer_->finish();
  const std::int64_t reduced = reducer_ != nullptr ? now_ns() : went_back;
  executor_.update(reducer_ != nullptr ? 1.0F / static_cast<float>(reducer_->replicas()) : 1.0F);
  if (wild) fail_by_loss(steps_ + 1, last_loss_);
  if (!executor_.finite()) fail_by_parameter();
  const std::int64_t updated = now_ns();
  *part(StepPart::copy) += copied - loaded;
  *part(StepPart::forward) += forward - copied;
  *part(StepPart::backward) += went_back - forward;
  *part(StepPart::reduce) += reduced - went_back;
  *part(StepPart::update) += updated - reduced;
  ++steps_;
  epoch_loss_ += last_loss_ * batch.count;
  epoch_images_ += batch.count;
  return true;
}

// A loss explodes some steps before anything overflows: the tensor that went furthest is named then.
std::string Trainer::largest_parameter() const {
  float largest = -1;
  std::string name;
  for (std::size_t p = 0; p < graph_.parameters().size(); ++p) {
    std::vector<float> values(static_cast<std::size_t>(graph_.parameters()[p].count()));
    executor_.read_parameter(static_cast<int>(p), values);
    float own = 0;
    for (const float value : values) own = std::max(own, std::abs(value));
    if (own > largest) {
      largest = own;
      name = graph_.parameters()[p].name;
    }
  }
  return fmt::format("{}, up to {:.3g}", name, largest);
}

void Trainer::fail(const std::string& where, const std::string& what) const {
  const std::string tensor = executor_.first_not_finite();
  throw TrainingFailed(ExitCode::case_failed, fmt::format("training failed {}: {}", where, what),
                       tensor.empty() ? "tensor with the largest weights: " + largest_parameter()
                                      : "first tensor that is not finite: " + tensor,
                       "lower lr; if it is low, distrust the data or this rank's hardware");
}

// Reduced gradients are the same everywhere: one that is not finite spoils all replicas in this step,
// and all throw TrainingFailed. Where they are finite, replicas that are equal would have stayed finite,
// or all have overflowed, which a loss that explodes comes before: this replica's own memory is wrong,
// and the others are in their next step already. A plain error ends the run at once, naming the rank;
// TrainingFailed would let this rank go on without them.
void Trainer::fail_by_parameter() const {
  const std::string where = fmt::format("at step {}", steps_ + 1);
  const char* what = "a parameter is not finite after the update";
  const auto finite = [](const Bucket& bucket) {
    return std::all_of(bucket.gradients, bucket.gradients + bucket.count,
                       [](float value) { return std::isfinite(value); });
  };
  const std::vector<Bucket>& buckets = executor_.buckets();
  if (reducer_ == nullptr || !std::all_of(buckets.begin(), buckets.end(), finite)) fail(where, what);
  throw Error(ExitCode::case_failed, fmt::format("training failed {}: {}", where, what),
              fmt::format("tensor {} of this replica, the sum of all gradients is finite",
                          executor_.first_not_finite()),
              "distrust this rank's memory");
}

void Trainer::take_parts(std::span<double> seconds) {
  for (std::size_t i = 0; i < parts_.size() && i < seconds.size(); ++i) {
    seconds[i] = 1e-9 * static_cast<double>(parts_[i]);
    parts_[i] = 0;
  }
}

double Trainer::epoch_loss() const {
  return epoch_images_ == 0 ? std::nan("") : epoch_loss_ / static_cast<double>(epoch_images_);
}

Evaluation Trainer::evaluate(Loader& loader) {
  settle();
  Evaluation total;
  loader.start_epoch(0);
  std::int64_t correct = 0;
  for (BatchView view = loader.next(); view.count > 0; view = loader.next()) {
    executor_.load(view.images, view.labels, view.count, Mode::inference);
    executor_.forward();
    total.loss += executor_.loss() * view.count;
    total.images += view.count;
    correct += executor_.correct();
  }
  total.loss /= static_cast<double>(total.images);
  total.accuracy = static_cast<double>(correct) / static_cast<double>(total.images);
  if (!std::isfinite(total.loss))
    fail(fmt::format("in the validation after step {}", steps_),
         fmt::format("the loss of the test images is {}", total.loss));
  return total;
}

}  // namespace dlscale::nn
