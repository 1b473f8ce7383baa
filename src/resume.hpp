// SPDX-License-Identifier: BSD-3-Clause
/// Going on with a file, and the job of --selftest.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "plan/plan.hpp"
#include "record/run_file.hpp"

namespace dlscale {

/// What a further launch of an existing file starts from.
struct ResumePlan {
  bool active = false;
  Config config;
  int launch = 0, first_case_id = 0;
  bool earlier_failures = false, earlier_misses = false;
  std::set<std::string> open;       ///< repro texts of cases that are not done
  std::string warning;              ///< what the user must know of the file; empty: nothing
  std::vector<CaseRow> superseded;  ///< rows of earlier launches that this one measures again
};

/// Reads the file and refuses (Error(bad_input), saying how) when job, number of ranks or binary differ.
ResumePlan read_resume(const CommandLine& line, int ranks, const std::string& build_id);

/// The open cases of the whole plan, with no-op and the roofs they need measured again; ids are
/// renumbered from 0. Fills in what the superseded rows say. Empty when nothing is open.
Plan remaining_plan(const Plan& whole, ResumePlan& resume);

/// --selftest: every workload's own examples, and a no-op delayed on the last rank, which the summary
/// must name.
Config selftest_config(const CommandLine& line, int ranks);
constexpr double selftest_delay_s = 0.002;

}  // namespace dlscale
