// SPDX-License-Identifier: BSD-3-Clause
/// Small answers a launch needs: names, budgets, devices, and what the file says of the surroundings.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "comm/communicator.hpp"
#include "config/config.hpp"
#include "measure/probes.hpp"
#include "places.hpp"
#include "summary/outcome.hpp"

namespace dlscale {

/// Now in UTC by strftime's `format`.
std::string utc_now(const char* format);

/// run-<Slurm job id or UTC time>.h5
std::string default_output();

/// "cpu" or "cuda". --device cuda must work on every rank; auto takes it when every rank can and this
/// build has work for it. Throws Error(refused), the same on all ranks. @note Collective.
std::string resolve_device(const MpiSession& session, const std::string& asked);

/// time_budget = "slurm": 90 % of what is left of the job's time, less 30 s; at least 10 s.
void budget_from_slurm(Config& config);

/// The thread level to ask MPI for, before which no rank can ask another: MPI_THREAD_MULTIPLE, which may
/// slow every call down, only where a case of the job has overlap = "thread". What can't be read here is
/// complained about later, by one rank.
int thread_level_for(const CommandLine& line);

std::string joined(const std::vector<std::string>& words);

/// Hosts of the nodes, comma-separated.
std::string hosts_of(const Layout& layout);

/// What /system/environment holds beside this process's own facts.
struct Environment {
  const std::vector<RankFacts>& ranks;
  const std::vector<std::string>& warnings;
  ClockFacts clock;
  const Config& config;
  const Probes& probes;
};

std::string environment_text(const Environment& e);

/// The no-op's seconds per repetition beyond the clock's cost, slowest rank; NaN if it was not measured.
double harness_seconds(const Plan& plan, const std::vector<CaseOutcome>& outcomes,
                       const std::vector<std::int64_t>& repeats, const ClockFacts& clock);

}  // namespace dlscale
