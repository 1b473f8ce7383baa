// SPDX-License-Identifier: BSD-3-Clause
/// The timed stretch itself, on one rank.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/barrier.hpp"
#include "measure/probes.hpp"
#include "measure/samples.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// This rank's samples of one batch: ns since launch on the local clock.
struct OwnSamples {
  std::vector<std::int64_t> start, stop;
  std::vector<double> probes;  ///< [sample, probe]
};

/// Runs the batch's samples. `align`: waited for before the first sample, and before every sample if
/// `every` (distributed workloads, whose ranks must enter together); nullptr: no alignment. Exceptions
/// of run() pass through.
OwnSamples take_samples(Workload& workload, const Batch& batch, DisseminationBarrier* align, bool every,
                        std::int64_t epoch_ns, Probes& probes);

}  // namespace dlscale
