// SPDX-License-Identifier: BSD-3-Clause
/// The half of measuring that every rank does: execute the root's commands.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/agreement.hpp"
#include "comm/clock_offset.hpp"
#include "comm/watchdog.hpp"
#include "measure/command.hpp"
#include "measure/crew.hpp"
#include "measure/probes.hpp"
#include "measure/samples.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// One rank's verdict on a case.
struct RankCheck {
  double error = 0, tolerance = 0;
  std::int32_t took_part = 0, passed = 0;
};

/// Outcome of verify() over the participants, at the root.
struct CaseCheck {
  RankCheck worst;      ///< largest error / tolerance; NaN is worst
  int worst_rank = -1;  ///< world rank
  int failures = 0;
  std::string results;  ///< of the lowest participant
};

/// What a worker needs of this rank's place.
struct WorkerPlace {
  std::int64_t epoch_ns = 0;  ///< the node's: its clock at launch
  int node = 0, local_rank = 0;
  std::uint64_t seed = 0;
  std::string host;
};

/// Every public function is collective over session.world(); all ranks call the same in the same order.
class Worker {
 public:
  Worker(const MpiSession& session, const Plan& plan, const Layout& layout, WorkerPlace place,
         Watchdog& watchdog);

  /// Makes and prepares the workload on the participants. A failure anywhere is the same failure
  /// everywhere.
  Agreement prepare(const Case& c);
  /// Runs one batch, turn by turn; the gathered samples are at the root (empty elsewhere). An exception
  /// of run() on any rank ends the whole run within seconds (Watchdog::fatal).
  BatchSamples batch(const Case& c, const Batch& batch);
  Agreement verify(const Case& c, CaseCheck& check);
  void release(const Case& c);
  std::vector<ClockOffset> clocks();

  const Crews& crews() const { return crews_; }
  /// Before a command of the root arrives; expected_s: what the root may be busy with.
  void wait_for_root(double expected_s);
  void arrived();

 private:
  void sleep_barrier(const char* what, double expected_s);

  const MpiSession& session_;
  const Plan& plan_;
  WorkerPlace place_;
  Watchdog& watchdog_;
  Crews crews_;
  Probes probes_;
  std::map<int, std::unique_ptr<Workload>> prepared_;
  std::uint64_t stage_ = 0;  ///< counts collective waits, the same on all ranks
};

}  // namespace dlscale
