// SPDX-License-Identifier: BSD-3-Clause
/// For tests of the loss ledger only: DLSCALE_TEST_LOSS="kind:seconds:rank:role[;…]" makes repetitions
/// of the cases of a role slower in a known way. rank "*" = all ranks.
///
///   before     local work at the beginning of a repetition: of one rank, the others wait for it
///   after      local work at its end
///   mpi        every call of the main thread in the repetition that mpi_meter.cpp lists takes so much
///              longer
///   neighbour  a thread that streams through memory while the case's samples are taken
#pragma once

#include <memory>
#include <string>

#include "workloads/contract.hpp"

namespace dlscale {

/// The workload itself, unless the variable names this rank and role.
std::unique_ptr<Workload> with_planted_loss(std::unique_ptr<Workload> workload, int rank,
                                            const std::string& role);

}  // namespace dlscale
