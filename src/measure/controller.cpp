// SPDX-License-Identifier: BSD-3-Clause
#include "measure/controller.hpp"

#include <algorithm>
#include <cmath>

#include "measure/warmup.hpp"

namespace dlscale {
namespace {

constexpr double longest_batched_sample_s = 20e-3;  // repeats are not stretched beyond this
// Of a sample whose participants begin together: what the first one waits for the last is no more.
constexpr double most_skew_share = 0.05;
constexpr double warm_up_share = 0.2;  // of the budget, at most
constexpr double lead_below_s = 0.25;  // shorter samples get a warm-up sample in front of each block
constexpr int most_samples_per_block = 64;
constexpr int warm_up_batch = 3;
constexpr int most_blocks = 200;
// Of cases whose blocks are epochs: their steps vary more than a warm-up could wait out.
constexpr std::size_t most_unit_warm_up = 10;

// Maximum over participants of one sample; NaN if any is missing or not a time.
double slowest(const BatchSamples& s, std::int32_t sample) {
  double worst = 0;
  for (std::int32_t p = 0; p < s.participants; ++p) {
    const double t = s.seconds(sample, p);
    if (!(t <= worst)) worst = t;
    if (std::isnan(t)) return t;
  }
  return worst;
}

// The same without the missing ones, for planning only: repeats must not depend on a time that is not
// there.
double slowest_known(const BatchSamples& s, std::int32_t sample) {
  double worst = 0;
  for (std::int32_t p = 0; p < s.participants; ++p) worst = std::fmax(worst, s.seconds(sample, p));
  return std::fmax(worst, 1e-9);
}

// Last start − first start on the common clock; NaN if a participant is missing.
double start_skew_of(const BatchSamples& s, std::int32_t sample, const std::vector<ClockShift>& clocks) {
  std::int64_t first = 0, last = 0;
  for (std::int32_t p = 0; p < s.participants; ++p) {
    const std::int64_t start = s.start[s.at(sample, p)];
    if (start < 0) return not_a_number;
    const auto column = static_cast<std::size_t>(p);
    const std::int64_t common = start + (column < clocks.size() ? clocks[column].offset_ns : 0);
    first = p == 0 ? common : std::min(first, common);
    last = p == 0 ? common : std::max(last, common);
  }
  return 1e-9 * static_cast<double>(last - first);
}

}  // namespace

double BatchSamples::seconds(std::int32_t sample, std::int32_t participant) const {
  const std::size_t i = at(sample, participant);
  if (start[i] < 0 || stop[i] < start[i]) return not_a_number;
  return 1e-9 * static_cast<double>(stop[i] - start[i]) / static_cast<double>(batch.repeats);
}

CaseController::CaseController(ControllerSettings settings) : settings_(settings) {
  if (settings_.max_time_s <= 0)
    settings_.max_time_s = std::max(2 * settings_.budget_s, 1.5 * settings_.min_time_s);
  state_.block_medians.resize(static_cast<std::size_t>(settings_.participants));
}

Batch CaseController::next() const {
  Batch batch;
  batch.repeats = repeats_;
  if (stage_ == Stage::warm_up)
    batch.samples = once_s_ * static_cast<double>(repeats_) < lead_below_s ? warm_up_batch : 1;
  if (stage_ == Stage::blocks) {
    batch.lead = lead_;
    batch.samples = samples_per_block_;
    batch.phase = Phase::measured;
    batch.block = blocks_done();
  }
  batch.expected_s = once_s_ * static_cast<double>(repeats_) * batch.rows();
  return batch;
}

void CaseController::observe(const BatchSamples& samples) {
  spent_s_ += samples.wall_s;
  if (settings_.distributed) note_skew(samples);
  for (std::int32_t i = 0; i < samples.batch.rows(); ++i)
    ++(samples.phase_of(i) == Phase::measured ? state_.measured : state_.warm_up);
  switch (stage_) {
    case Stage::pilot:
      observe_pilot(samples);
      break;
    case Stage::warm_up:
      observe_warm_up(samples);
      break;
    case Stage::blocks:
      observe_block(samples);
      break;
  }
}

void CaseController::note_skew(const BatchSamples& samples) {
  if (samples.batch.phase == Phase::measured && !skews_measured_) {
    skews_s_.clear();
    skews_measured_ = true;
  }
  for (std::int32_t i = skews_measured_ ? samples.batch.lead : 0; i < samples.batch.rows(); ++i)
    if (const double skew = start_skew_of(samples, i, clocks_); !std::isnan(skew))
      skews_s_.push_back(skew);
}

double CaseController::start_skew_s() const {
  return median(skews_s_);
}

double CaseController::clock_error_s() const {
  std::int64_t worst = 0;
  for (const ClockShift& clock : clocks_) worst = std::max(worst, clock.error_ns);
  return 2e-9 * static_cast<double>(worst);
}

double CaseController::block_budget_s() const {
  return settings_.budget_s * (1 - warm_up_share) / settings_.blocks / settings_.turns;
}

// How long a sample of several executions should be.
double CaseController::sample_target_s() const {
  return std::clamp(block_budget_s() / 20, settings_.min_sample_s, longest_batched_sample_s);
}

// Of a distributed case: one execution per sample (isolated) if it can be timed and the ranks begin it
// together, else so many (batched) that the skew of the start does not count. Decided from the warm-up:
// a first execution makes connections and says nothing of the others.
void CaseController::settle_repeats() {
  const double skew = start_skew_s() + clock_error_s();
  const double shortest = std::isnan(skew) ? 0.0 : skew / most_skew_share;
  const double sample_s = once_s_ * static_cast<double>(repeats_);
  if (sample_s >= std::fmax(0.5 * settings_.min_sample_s, shortest)) return;
  // The skew's wish ends at a block's share of the budget, so that there is at least one sample in it.
  const double wanted = std::fmax(sample_target_s(), std::fmin(shortest, block_budget_s())) / once_s_;
  const auto raised = static_cast<std::int64_t>(std::clamp(std::ceil(wanted), 2.0, 1e9));
  repeats_ = std::max(repeats_, raised);
}

void CaseController::observe_pilot(const BatchSamples& samples) {
  warm_spent_s_ += samples.wall_s;
  once_s_ = slowest_known(samples, 0);
  // One execution of a distributed case is a sample if it can be timed at all: executions back to back
  // overlap, and are another quantity.
  const double target = settings_.distributed ? settings_.min_sample_s : sample_target_s();
  const double took = once_s_ * static_cast<double>(repeats_);
  if (took < 0.5 * target && !whole_units() && !settings_.single) {
    // Grow at most a hundredfold: a first execution can be far from typical either way.
    const double wanted = std::ceil(sample_target_s() / once_s_);
    repeats_ = static_cast<std::int64_t>(std::clamp(wanted, 2.0, 100.0 * static_cast<double>(repeats_)));
    return;
  }
  warm_up_seconds_.push_back(once_s_);
  stage_ = Stage::warm_up;
  // A sample that alone exceeds the warm-up's share is its own warm-up.
  if (settings_.warmup_s <= warm_spent_s_ && warm_spent_s_ >= warm_up_share * settings_.budget_s)
    plan_blocks();
}

void CaseController::observe_warm_up(const BatchSamples& samples) {
  warm_spent_s_ += samples.wall_s;
  for (std::int32_t i = 0; i < samples.batch.rows(); ++i)
    warm_up_seconds_.push_back(slowest_known(samples, i));
  once_s_ =
      median(std::span(warm_up_seconds_).last(std::min(warm_up_seconds_.size(), warmup_window / 2)));
  steady_ = is_steady(warm_up_seconds_, settings_.interval);
  const bool long_enough = warm_spent_s_ >= settings_.warmup_s;
  const bool too_long =
      warm_spent_s_ >= std::max(settings_.warmup_s, warm_up_share * settings_.budget_s);
  const bool enough = steady_ || (whole_units() && warm_up_seconds_.size() >= most_unit_warm_up);
  if ((enough && long_enough) || too_long) plan_blocks();
}

void CaseController::plan_blocks() {
  stage_ = Stage::blocks;
  if (settings_.distributed && !whole_units() && !settings_.single) settle_repeats();
  state_.repeats = repeats_;
  if (whole_units()) {
    samples_per_block_ = settings_.block_samples;
    return;
  }
  const double sample_s = once_s_ * static_cast<double>(repeats_);
  lead_ = sample_s < lead_below_s ? 1 : 0;
  const double left = std::max(settings_.min_time_s, settings_.budget_s - warm_spent_s_);
  const double block_s = left / settings_.blocks / settings_.turns;
  const double fit = std::floor(block_s / sample_s) - lead_;
  samples_per_block_ =
      static_cast<int>(std::clamp(fit, 1.0, static_cast<double>(most_samples_per_block)));
}

void CaseController::observe_block(const BatchSamples& samples) {
  const Batch& batch = samples.batch;
  std::vector<double> values, maxima;
  for (std::int32_t i = batch.lead; i < batch.rows(); ++i) {
    maxima.push_back(slowest(samples, i));
    measured_s_ += slowest_known(samples, i) * static_cast<double>(batch.repeats);
  }
  for (std::int32_t p = 0; p < samples.participants; ++p) {
    values.clear();
    for (std::int32_t i = batch.lead; i < batch.rows(); ++i) values.push_back(samples.seconds(i, p));
    state_.block_medians[static_cast<std::size_t>(p)].push_back(median(values));
  }
  state_.slowest_block_medians.push_back(median(maxima));
  if (whole_units()) last_block_s_ = samples.wall_s;
  judge();
}

void CaseController::judge() {
  if (blocks_done() < settings_.blocks || measured_s_ < settings_.min_time_s) {
    if (measured_s_ < settings_.min_time_s || spent_s_ < settings_.max_time_s || blocks_done() < 1)
      return;
    stop("max_time");  // fewer blocks than asked: no interval, and the record says why
    return;
  }
  if (watched().relative_half_width() <= settings_.interval) return stop("converged");
  if (spent_s_ + next_block_s() > settings_.max_time_s) return stop("max_time");
  if (blocks_done() >= most_blocks) stop("most blocks");
}

void CaseController::stop(const std::string& reason) {
  if (finished_) return;
  finished_ = true;
  stop_reason_ = reason;
}

double CaseController::next_block_s() const {
  const int rows = stage_ == Stage::blocks ? lead_ + samples_per_block_ : warm_up_batch;
  return std::max(last_block_s_, once_s_ * static_cast<double>(repeats_) * rows * settings_.turns);
}

Interval CaseController::reported() const {
  if (settings_.distributed) return block_interval(state_.slowest_block_medians, settings_.confidence);
  std::vector<double> over_blocks;
  for (std::size_t b = 0; b < state_.slowest_block_medians.size(); ++b) {
    std::vector<double> over_ranks;
    for (const auto& blocks : state_.block_medians) over_ranks.push_back(blocks[b]);
    over_blocks.push_back(median(over_ranks));
  }
  return block_interval(over_blocks, settings_.confidence);
}

Interval CaseController::watched() const {
  if (settings_.distributed) return block_interval(state_.slowest_block_medians, settings_.confidence);
  std::vector<double> widths;
  std::vector<Interval> intervals;
  for (const auto& blocks : state_.block_medians) {
    intervals.push_back(block_interval(blocks, settings_.confidence));
    const double width = intervals.back().relative_half_width();
    widths.push_back(std::isnan(width) ? std::numeric_limits<double>::infinity() : width);
  }
  const double chosen = percentile(widths, 0.95);
  for (std::size_t i = 0; i < widths.size(); ++i)
    if (widths[i] == chosen) return intervals[i];
  return {};
}

std::vector<int> CaseController::unconverged() const {
  std::vector<int> columns;
  for (std::size_t p = 0; p < state_.block_medians.size(); ++p) {
    const double width =
        block_interval(state_.block_medians[p], settings_.confidence).relative_half_width();
    if (!(width <= settings_.interval)) columns.push_back(static_cast<int>(p));
  }
  return columns;
}

}  // namespace dlscale
