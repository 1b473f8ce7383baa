// SPDX-License-Identifier: BSD-3-Clause
/// Decides, for one case, what is measured next: pilot, warm-up, blocks, stop. Lives at the root; no
/// clock, no MPI: it sees only what was measured, so a scripted clock tests it exactly.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "measure/samples.hpp"
#include "measure/statistics.hpp"

namespace dlscale {

/// Everything the decisions depend on.
struct ControllerSettings {
  int blocks = 6;
  double interval = 0.02;
  double confidence = 0.95;
  double warmup_s = 0;          ///< 0 = detected
  double min_time_s = 0;        ///< measured time at least
  double max_time_s = 0;        ///< 0 = twice the budget
  double budget_s = 5;          ///< share of the run's time budget
  double min_sample_s = 50e-6;  ///< ≥ 1000 × the clock's resolution
  int participants = 1;
  int turns = 1;  ///< turns a batch takes
  /// Of a block that is a whole unit (an epoch): one execution per sample, no lead; 0: our choice.
  std::int32_t block_samples = 0;
  bool single = false;  ///< one execution per sample, however short
  bool distributed =
      false;  ///< reported: per-sample maximum over participants; else every rank's own median
};

/// What is known of a participant's clock: added to it, it is the root's, ± the error.
struct ClockShift {
  std::int64_t offset_ns = 0, error_ns = 0;
};

class CaseController {
 public:
  explicit CaseController(ControllerSettings settings);

  /// One per participant; without it all share one clock. Before the first observe(), and again whenever
  /// the clocks were measured.
  void set_clocks(std::vector<ClockShift> clocks) { clocks_ = std::move(clocks); }

  /// Pilot and warm-up, one batch after the other; then blocks. Must not be called when finished().
  Batch next() const;
  void observe(const BatchSamples& samples);

  /// Pilot and warm-up are over: from here blocks of other cases may come in between.
  bool warm() const { return stage_ == Stage::blocks; }
  bool steady() const { return steady_; }
  bool finished() const { return finished_; }
  /// "converged" | "time budget" | "max_time" | "most blocks" | "failed"; empty while running.
  const std::string& stop_reason() const { return stop_reason_; }
  /// Ends the case although it has not converged (the run's time is over).
  void stop(const std::string& reason);

  /// Called when no time of the case's own budget is left, but the run has some: may it go on?
  bool wants_more() const { return !finished_ && blocks_done() >= settings_.blocks; }
  int blocks_done() const { return static_cast<int>(state_.slowest_block_medians.size()); }
  double spent_s() const { return spent_s_; }
  /// Wall time one more block is expected to take.
  double next_block_s() const;

  /// The reported quantity with its interval: per-rank: median over participants, block by block;
  /// distributed: slowest.
  Interval reported() const;
  /// The quantity the stop rule looks at: for per-rank cases the participant at the 95th percentile.
  Interval watched() const;
  /// Columns whose own half-width is above the target (all when there is no interval yet).
  std::vector<int> unconverged() const;

  /// Of distributed cases: median over the samples of how much later the last participant began than the
  /// first, on the common clock; of the measured samples once there are any. NaN before the first.
  double start_skew_s() const;
  /// Twice the largest error of a participant's clock: what a skew may be off by.
  double clock_error_s() const;

  const CaseState& state() const { return state_; }
  const ControllerSettings& settings() const { return settings_; }

 private:
  enum class Stage { pilot, warm_up, blocks };
  void observe_pilot(const BatchSamples& samples);
  void observe_warm_up(const BatchSamples& samples);
  void observe_block(const BatchSamples& samples);
  void plan_blocks();
  void settle_repeats();
  void judge();
  void note_skew(const BatchSamples& samples);
  double block_budget_s() const;
  double sample_target_s() const;
  bool whole_units() const { return settings_.block_samples > 0; }

  ControllerSettings settings_;
  Stage stage_ = Stage::pilot;
  CaseState state_;
  std::vector<ClockShift> clocks_;  ///< [participant], or none
  std::vector<double> skews_s_;     ///< [sample]: of pilot and warm-up, then of measured ones
  bool skews_measured_ = false;
  std::vector<double> warm_up_seconds_;  ///< per execution, maximum over participants
  double once_s_ = 0;                    ///< one execution, latest estimate, slowest participant
  double spent_s_ = 0, warm_spent_s_ = 0, measured_s_ = 0;
  double last_block_s_ =
      0;  ///< wall time, of whole units only: what they do beside their samples counts
  std::int64_t repeats_ = 1;
  int samples_per_block_ = 1, lead_ = 0;
  bool steady_ = false, finished_ = false;
  std::string stop_reason_;
};

}  // namespace dlscale
