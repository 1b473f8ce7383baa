// SPDX-License-Identifier: BSD-3-Clause
/// Small entries for tests of the plan: the pure half only.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// noop, gemm (keys as the real one, roofs fma and triad), fma, triad, big (memory by key), spread
/// (distributed), and gpu_only (variant cuda). Variant cpu unless said.
std::vector<Entry> fake_entries();

/// A plan of a job's text on the given layout; default: 4 ranks on 2 nodes of 4 cores and 8 GiB.
Plan plan_of(const std::string& job, const std::vector<std::string>& only = {});
Plan plan_of(const std::string& job, const Layout& layout, const std::vector<std::string>& only = {});
Layout small_layout();

/// The cases that were asked for: neither noop nor roofs that the plan added.
std::vector<Case> asked_of(const Plan& plan);

/// The sentence of the Error(bad_input) that `act` throws; "" if it throws none; "exit code n" for
/// another code.
template <class Act>
std::string message_of(const Act& act) {
  try {
    act();
  } catch (const Error& e) {
    if (e.exit_code() == ExitCode::bad_input) return e.what();
    return "exit code " + std::to_string(static_cast<int>(e.exit_code()));
  }
  return {};
}

}  // namespace dlscale
