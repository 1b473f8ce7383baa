// SPDX-License-Identifier: BSD-3-Clause
/// For the fault tests only: DLSCALE_TEST_FAULT="stage:rank:kind:case" makes one rank misbehave in one
/// case of the plan.
#pragma once

#include <memory>
#include <string_view>

#include "workloads/contract.hpp"

namespace dlscale {

/// stage: prepare | run | block | verify | result. kind: throw (an exception), hang (for ever), wrong
/// (verify only: returns true, and the caller reports a NaN error). Does nothing unless the variable
/// names this stage, rank and case ("*": every case).
bool test_fault(std::string_view stage, int rank, int case_id);

/// The workload itself, unless the variable names for this rank and case the stage run (its first run()
/// misbehaves), block (the second run() of a measured block) or result (what the last run() left is
/// damaged before it is judged: kind flip turns one bit over, kind nan makes one number a NaN).
std::unique_ptr<Workload> with_test_fault(std::unique_ptr<Workload> workload, int rank, int case_id);

}  // namespace dlscale
