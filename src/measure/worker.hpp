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
#include "measure/memory_peak.hpp"
#include "measure/probes.hpp"
#include "measure/sampler.hpp"
#include "measure/statistics.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// One rank's verdict on a case.
struct RankCheck {
  double error = 0, tolerance = 0;
  std::int32_t took_part = 0, passed = 0;
  double memory_peak_bytes = not_a_number;  ///< NaN: the system does not tell
};

/// Outcome of verify() over the participants, at the root.
struct CaseCheck {
  RankCheck worst;      ///< largest error / tolerance; NaN is worst
  int worst_rank = -1;  ///< world rank
  int failures = 0;
  std::string message;                      ///< of the worst rank's Check
  std::string results;                      ///< of the lowest participant
  double memory_peak_bytes = not_a_number;  ///< largest of the participants
  int memory_peak_rank = -1;                ///< world rank
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
         Watchdog& watchdog, Probes& probes);

  /// Makes and prepares the workload on the participants. A failure anywhere is the same failure
  /// everywhere.
  Agreement prepare(const Case& c);
  /// Runs one batch, turn by turn; the gathered samples are at the root (empty elsewhere). An exception
  /// of run() is in BatchSamples::failures; that of a distributed case on any rank ends the whole run
  /// within seconds (Watchdog::fatal).
  BatchSamples batch(const Case& c, const Batch& batch);
  Agreement verify(const Case& c, CaseCheck& check);
  void release(const Case& c);
  std::vector<ClockOffset> clocks();

  const Crews& crews() const { return crews_; }
  /// Before a command of the root arrives; expected_s: what the root may be busy with.
  void wait_for_root(double expected_s);
  void arrived();
  /// Before the root does something by itself that may hang.
  void busy(const char* what);

 private:
  void sleep_barrier(const char* what, double limit_s);
  OwnSamples take(const Case& c, const Batch& batch, const Crew& crew, double limit_s);
  void note_peak(const Case& c);

  const MpiSession& session_;
  WorkerPlace place_;
  Watchdog& watchdog_;
  Probes& probes_;
  Crews crews_;
  std::map<int, std::unique_ptr<Workload>> prepared_;
  std::map<int, Widths> widths_;  ///< of prepared cases; on parked ranks too
  MemoryPeak peak_;
  int peak_of_ = -1;             ///< case that was prepared last
  std::map<int, double> peaks_;  ///< bytes, of prepared cases
  std::uint64_t stage_ = 0;      ///< counts collective waits, the same on all ranks
};

}  // namespace dlscale
