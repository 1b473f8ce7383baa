// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "summary/summary.hpp"

namespace dlscale {

// A run of `ranks` ranks: no-op, FMA roof and gemm cases, each rank as fast as `seconds` says.
struct Example {
  Plan plan;
  Layout layout;
  std::vector<CaseOutcome> outcomes;

  explicit Example(int ranks) : layout(assume_layout(ranks, 4, 4, 1e10)) {}

  Case& add(const std::string& workload, const std::string& dtype, double flops,
            const std::vector<double>& seconds) {
    Case c;
    c.id = static_cast<int>(plan.cases.size());
    c.workload = workload;
    c.variant = "cpu";
    c.dtype = dtype;
    c.occupancy = "together";
    c.ranks = static_cast<int>(seconds.size());
    c.cost.flops = flops;
    c.repro = workload + (dtype.empty() ? "" : " dtype=" + dtype);
    CaseOutcome o;
    o.status = CaseStatus::completed;
    o.check_passed = true;
    o.seconds = block_interval(std::vector<double>(6, median(seconds)), 0.95);
    for (std::size_t i = 0; i < seconds.size(); ++i) {
      o.ranks.push_back(static_cast<int>(i));
      o.rank_seconds.push_back(seconds[i]);
      o.rank_low.push_back(0.999 * seconds[i]);
    }
    plan.cases.push_back(c);
    outcomes.push_back(o);
    return plan.cases.back();
  }

  RunSummary summary() const {
    return {.plan = plan,
            .layout = layout,
            .outcomes = outcomes,
            .warnings = {},
            .file = "run.h5",
            .elapsed_s = 61};
  }
};

}  // namespace dlscale
