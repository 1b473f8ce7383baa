// SPDX-License-Identifier: BSD-3-Clause
/// The root's half of measuring: decides by the controllers, commands all ranks, records what comes
/// back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "ending.hpp"
#include "measure/controller.hpp"
#include "measure/worker.hpp"
#include "plan/plan.hpp"
#include "record/run_file.hpp"
#include "summary/outcome.hpp"
#include "summary/progress.hpp"

namespace dlscale {

/// The row of /cases that a planned case starts with.
CaseRow case_row(const Case& c, int file_id, int launch);

/// Columns of a case in the file: its participants, and what is kept of each beside the times.
CaseLayout case_layout(const Case& c, const Layout& layout, const std::vector<Probe>& probes,
                       int file_id, int launch);

/// A batch as the file keeps it.
SampleRows sample_rows(const BatchSamples& samples);

/// What a case's controller starts from.
ControllerSettings controller_settings(const Case& c, const Layout& layout, const ClockFacts& clock);

/// Seconds the root may take for writing and deciding between two commands.
constexpr double root_busy_s = 2;

/// What the director works with; all owned by the caller.
struct Stage {
  const MpiSession& session;
  const Plan& plan;
  const Layout& layout;
  Worker& worker;
  RunFile& file;
  Progress& progress;
  Ending& ending;
  std::uint64_t seed = 0;
  int launch = 0;         ///< index of this launch in the file
  int first_case_id = 0;  ///< id in the file of the plan's case 0
  std::int64_t started_ns = 0;
  std::vector<std::int64_t> node_epochs;  ///< ns, of each node's clock
  ClockFacts clock;
};

class Director {
 public:
  explicit Director(Stage stage);
  /// Measures everything. Throws only what ends the run (the file can't be written).
  std::vector<CaseOutcome> run();
  /// Executions per sample, case by case.
  std::vector<std::int64_t> repeats() const;
  /// Tells all ranks to end with this code.
  void end(int exit_code);

 private:
  void command(Action action, int case_id, const Batch& batch = {}, int exit_code = 0);
  void save();  ///< what was recorded survives a kill from here on
  void measure_group(const std::vector<int>& ids, int group, double group_end_s);
  bool prepare(int id);
  void measure(int id);
  void abandon(int id, const std::vector<RankFailure>& failures);
  void finish(int id);
  std::string check_failure(const CaseCheck& check, std::size_t participants) const;
  void fail(int id, const std::string& message);
  void record_clocks(int id, int block);
  void update_row(int id);
  void judge_requirements(int id);  ///< of this case, and of those that depend on it
  void judge(int id);               ///< into the outcome and the file
  CaseController& controller(int id) { return controllers_[static_cast<std::size_t>(id)]; }
  Tally& tally(int id) { return tallies_[static_cast<std::size_t>(id)]; }
  CaseOutcome& outcome(int id) { return outcomes_[static_cast<std::size_t>(id)]; }
  CaseRow& row(int id) { return rows_[static_cast<std::size_t>(id)]; }
  bool failed(int id) const {
    return outcomes_[static_cast<std::size_t>(id)].status == CaseStatus::failed;
  }
  const Case& plan_case(int id) const { return s_.plan.cases[static_cast<std::size_t>(id)]; }
  double elapsed_s() const { return seconds_since(s_.started_ns); }

  Stage s_;
  std::vector<CaseController> controllers_;
  std::vector<CaseOutcome> outcomes_;
  std::vector<Tally> tallies_;
  std::vector<CaseRow> rows_;
  int done_ = 0;
};

/// All ranks but the root: execute commands until the end; returns the exit code.
int follow(const MpiSession& session, const Plan& plan, Worker& worker);

}  // namespace dlscale
