// SPDX-License-Identifier: BSD-3-Clause
/// The timed stretch itself, on one rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/barrier.hpp"
#include "measure/probes.hpp"
#include "measure/samples.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// This rank's samples of one batch: ns since launch on the local clock.
struct OwnSamples {
  std::vector<std::int64_t> start, stop;      ///< [sample]; −1 absent
  std::vector<double> probes, parts, layers;  ///< [sample, probe | part | layer]; NaN absent
  std::vector<double> buckets;                ///< [sample, bucket, time]; likewise
  std::vector<double> epoch;                  ///< [column]; only of a measured block
  std::string failure;                        ///< what run() threw; empty when all went well
};

/// How a batch is taken.
struct Sampling {
  DisseminationBarrier* align = nullptr;  ///< nullptr: no alignment
  /// All participants work on one problem: they enter every sample together, and exceptions other than
  /// FailedTogether pass through. Else they meet before the first sample only, and an exception ends
  /// this rank's samples.
  bool distributed = false;
  std::int64_t epoch_ns = 0;
  Widths widths;  ///< of the case; probes as in Probes::list()
};

/// All samples of a batch, absent.
OwnSamples absent_samples(const Batch& batch, const Widths& widths);

/// Runs the batch's samples.
OwnSamples take_samples(Workload& workload, const Batch& batch, const Sampling& how, Probes& probes);

}  // namespace dlscale
