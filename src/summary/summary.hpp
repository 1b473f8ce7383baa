// SPDX-License-Identifier: BSD-3-Clause
/// The end of every run: the table of cases, the lines a buyer reads first, FOM lines. 80 columns.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.hpp"
#include "summary/outcome.hpp"

namespace dlscale {

struct RunSummary {
  const Plan& plan;
  const Layout& layout;
  const std::vector<CaseOutcome>& outcomes;  ///< [case]
  std::vector<std::string> warnings;         ///< mis-launch and others, one sentence each
  bool oversubscribed = false;               ///< numbers are printed with a mark
  int exit_code = 0;
  std::string file;
  double elapsed_s = 0;
  const CaseOutcome& outcome(const Case& c) const { return outcomes[static_cast<std::size_t>(c.id)]; }
  double harness_s = not_a_number;  ///< noop: seconds per repetition beyond the clock's cost, worst rank
};

/// "gemm m=4096 … 53.1 GFLOP/s ±0.4 % …": one line of the table, also printed when a case ends.
std::string case_line(const RunSummary& run, const Case& c);
std::string render_table(const RunSummary& run);
std::string render_ten_lines(const RunSummary& run);
/// "FOM: gemm_m4096_n4096_k4096_f64_together = 53.1 GFLOP/s" for every completed case with a passed
/// check.
std::string render_foms(const RunSummary& run);

/// Ranks that the run's own numbers point at, with why: ≥ 3 % and ≥ 5 scaled MAD slower than the median
/// in most cases.
std::vector<std::string> suspects(const RunSummary& run);

}  // namespace dlscale
