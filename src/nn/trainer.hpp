// SPDX-License-Identifier: BSD-3-Clause
/// One training step after the other, each part of it timed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

#include "base/error.hpp"
#include "nn/data/loader.hpp"
#include "nn/executor.hpp"
#include "nn/gradient_reducer.hpp"

namespace dlscale::nn {

/// Disjoint stretches of a step, in this order: waiting for or building the batch; handing it to the
/// device; the two passes; gradients of other ranks, as far as not hidden; optimiser.
enum class StepPart { load, copy, forward, backward, reduce, update };
constexpr std::array<const char*, 6> step_part_names = {"load",     "copy",   "forward",
                                                        "backward", "reduce", "update"};

struct Evaluation {
  double loss = 0, accuracy = 0;  ///< mean per image; fraction
  std::int64_t images = 0;
};

/// A loss, a parameter or a validation went wrong.
class TrainingFailed final : public Error {
 public:
  using Error::Error;
};

class Trainer {
 public:
  /// All must outlive it. Programs for the loader's batch and its last, smaller one are prepared here.
  Trainer(const Graph& graph, Executor& executor, Loader& loader, int batch);

  /// From now on this is one of several replicas, which must all make the same calls; nullptr: it is
  /// not.
  void reduce_with(GradientReducer* reducer) { reducer_ = reducer; }

  void start_epoch(std::int64_t epoch);
  /// One step; false, with nothing done, at the end of the epoch. A loss that is not finite, or more
  /// than `exploding` times larger than an untrained network's, or a parameter that is not finite after
  /// the update, throws TrainingFailed naming the step (from 1) and the first tensor that is not
  /// finite, or else the parameter with the largest value. With a reducer every replica throws in the
  /// same step, after the reduction: nobody waits for one that has failed. What can be wrong in one
  /// replica alone is an Error that is no TrainingFailed: the others know nothing of it and wait.
  bool step();

  /// Waits for steps that an executor with a device of its own has not finished, and judges them: step()
  /// may return one step before it throws. Part `forward` is then the launch of all, `update` the wait.
  void settle();

  /// Seconds of each part since the last call.
  void take_parts(std::span<double> seconds);
  /// Mean loss over the images of the epoch so far.
  double epoch_loss() const;  ///< of settled steps, like the others
  std::int64_t epoch_images() const { return epoch_images_; }
  std::int64_t steps() const { return steps_; }
  double last_loss() const { return last_loss_; }

  /// Makes the programs of evaluate(), so that no time is spent on them there.
  void prepare_evaluation(const Loader& loader, int batch);
  /// Loss and accuracy over the whole of another loader, in inference mode. A loss that is not finite
  /// throws as in step(): running statistics may be damaged where every parameter is finite.
  Evaluation evaluate(Loader& loader);

  static constexpr double exploding = 100;

 private:
  [[noreturn]] void fail(const std::string& where, const std::string& what) const;
  [[noreturn]] void fail_by_parameter() const;
  void backward(bool spoil);
  /// A step that the device does by itself, and the number of its images.
  struct Ahead {
    std::int64_t step = 0;
    int images = 0;
  };
  void step_ahead(const BatchView& batch);
  void judge_oldest();
  bool exploded(double loss) const;
  [[noreturn]] void fail_by_loss(std::int64_t step, double loss) const;
  std::string largest_parameter() const;
  std::int64_t* part(StepPart p) { return &parts_[static_cast<std::size_t>(p)]; }

  const Graph& graph_;
  Executor& executor_;
  Loader& loader_;
  GradientReducer* reducer_ = nullptr;
  std::array<std::int64_t, 6> parts_{};  ///< ns
  std::int64_t steps_ = 0, epoch_images_ = 0;
  double epoch_loss_ = 0, last_loss_ = 0;
  std::deque<Ahead> ahead_;  ///< under way, the oldest first
};

}  // namespace dlscale::nn
