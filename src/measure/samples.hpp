// SPDX-License-Identifier: BSD-3-Clause
/// What was measured: data only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dlscale {

enum class Phase : std::uint8_t { warm_up = 0, measured = 1, absent = 255 };

/// What the root asks for: `lead` warm-up samples, then `samples` of `phase`, each of `repeats`
/// executions.
struct Batch {
  std::int32_t lead = 0;
  std::int32_t samples = 1;
  std::int64_t repeats = 1;
  Phase phase = Phase::warm_up;
  std::int32_t block = -1;  ///< −1 before the first block
  double expected_s = 0;    ///< one turn, from what is known so far
  std::int32_t rows() const { return lead + samples; }
};

// A slow rank is to be found by its times, not ended: a rank may take so many times what was measured,
// or, before it was, what was planned, an estimate.
constexpr double measured_slack = 5, planned_slack = 20;
/// Seconds that a turn of the batch may take before the watchdog's patience counts; `once_s` is the
/// plan's estimate of one execution. Pure.
inline double allowed_s(const Batch& batch, double once_s) {
  if (batch.expected_s > 0) return measured_slack * batch.expected_s;
  return planned_slack * once_s * static_cast<double>(batch.repeats) * batch.rows();
}

/// How many numbers a case has beside its times: per sample (probes, parts, layers, three times of each
/// bucket) and per block (epochs; 0 unless a block is a whole unit).
struct Widths {
  std::size_t probes = 0, parts = 0, layers = 0, epochs = 0, bucket_times = 0;
};

/// A participant of a case that is not distributed whose run() threw.
struct RankFailure {
  int rank = -1;  ///< in the world
  std::string message;
};

/// All participants' samples of one batch, at the root; row-major [sample, participant(, probe, part,
/// layer or bucket, time)].
struct BatchSamples {
  Batch batch;
  std::int32_t participants = 0;
  std::vector<std::int64_t> start, stop;               ///< ns since launch, local clock; −1 absent
  std::vector<double> probes, parts, layers, buckets;  ///< NaN where not available
  std::vector<double> epoch;          ///< [participant, column] of a measured block that is a whole unit
  std::vector<RankFailure> failures;  ///< their samples from the failed one on are absent
  double wall_s = 0;  ///< of the whole batch at the root, all turns and the gather included

  std::size_t at(std::int32_t sample, std::int32_t participant) const {
    return static_cast<std::size_t>(sample) * static_cast<std::size_t>(participants) +
           static_cast<std::size_t>(participant);
  }
  /// Seconds per execution, NaN where absent.
  double seconds(std::int32_t sample, std::int32_t participant) const;
  Phase phase_of(std::int32_t sample) const {
    return sample < batch.lead ? Phase::warm_up : batch.phase;
  }
};

/// Seconds per repetition of one case, condensed block by block at the root.
struct CaseState {
  std::vector<std::vector<double>> block_medians;  ///< [participant][block]
  std::vector<double>
      slowest_block_medians;  ///< [block] median over samples of the maximum over participants
  std::int64_t measured = 0, warm_up = 0;  ///< samples
  std::int64_t repeats = 1;
};

}  // namespace dlscale
