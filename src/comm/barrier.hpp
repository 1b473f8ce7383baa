// SPDX-License-Identifier: BSD-3-Clause
/// Our own dissemination barrier, so that the start of a sample is the same on every MPI.
#pragma once

#include <vector>

#include "comm/communicator.hpp"

namespace dlscale {

/// ⌈log2 p⌉ rounds of zero-byte messages to rank ± 2^k (Hensgen, Finkel, Manber 1988), by persistent
/// requests made once. Spins (through MPI's progress): used right before a timed stretch, never to park.
class DisseminationBarrier {
 public:
  /// @note Collective over comm.
  explicit DisseminationBarrier(const Communicator& comm);
  ~DisseminationBarrier();
  DisseminationBarrier(const DisseminationBarrier&) = delete;
  DisseminationBarrier& operator=(const DisseminationBarrier&) = delete;
  /// @note Collective over comm.
  void wait();

 private:
  Communicator comm_;  ///< a private duplicate: a workload's wildcard receive can't take our messages
  std::vector<MPI_Request> requests_;  ///< [round][receive, send]
};

}  // namespace dlscale
