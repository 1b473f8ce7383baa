// SPDX-License-Identifier: BSD-3-Clause
/// What ranks do each by itself between two calls of MPI, so that none that fails leaves the others in
/// the next one.
#pragma once

#include <string>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// Does `action` on every rank and throws FailedTogether on all if it threw on any. The action must not
/// wait for other ranks.
/// @note Collective over comm.
template <class Action>
void together(const Communicator& comm, Action&& action) {
  const std::string failure = failure_of(action);
  const Agreement all = agree(comm, failure.empty(), failure);
  if (all.ok) return;
  if (!failure.empty()) throw FailedTogether(ExitCode::case_failed, failure);
  throw FailedTogether(ExitCode::case_failed, "participant " + std::to_string(all.rank) +
                                                  " of the case failed: " + all.message);
}

}  // namespace dlscale
