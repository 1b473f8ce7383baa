// SPDX-License-Identifier: BSD-3-Clause
/// What the tests with mutated inputs share. The same mutations in every run; DLSCALE_FUZZ_CASES says
/// how many.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "fake_entries.hpp"

namespace dlscale {

using Words = std::vector<std::string>;

inline int fuzz_cases() {
  const char* wanted = std::getenv("DLSCALE_FUZZ_CASES");
  return wanted ? std::max(1, std::atoi(wanted)) : 200;
}

/// Deterministic on every platform: the distributions of <random> are not.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return n == 0 ? 0 : engine_() % n; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::mt19937_64 engine_;
};

/// The outcome of an attempt: "" for success, the sentence of a refusal, or a text beginning with
/// "BROKEN".
template <class Act>
std::string outcome(const Act& act) {
  try {
    act();
    return {};
  } catch (const Error& e) {
    if (e.exit_code() != ExitCode::bad_input) return "BROKEN: exit code of " + std::string(e.what());
    return std::string(e.what()).empty() ? "BROKEN: no sentence" : e.what();
  } catch (const std::exception& e) {
    return "BROKEN: " + std::string(e.what());
  }
}

// A plan that is made must hold together.
inline void plan_fully(const Config& config, const Layout& layout, const Words& only = {}) {
  static const std::vector<Entry> entries = fake_entries();
  const Plan plan = make_plan(config, layout, entries, only);
  if (!(config_from_json(config_to_json(config)) == config))
    throw std::runtime_error("config JSON differs");
  if (plan_to_json(plan_from_json(plan_to_json(plan))) != plan_to_json(plan))
    throw std::runtime_error("plan JSON differs");
  if (plan.cases.size() < 300 && render_plan(plan, layout).empty())
    throw std::runtime_error("nothing rendered");
  if (plan.cases.empty() || plan.cases[0].workload != "noop")
    throw std::runtime_error("noop is not first");
  for (const Case& c : plan.cases)
    if (!(c.predicted_s > 0) || !(c.budget_s >= 0) || c.threads < 1 || c.ranks < 1 || c.repro.empty())
      throw std::runtime_error("a case makes no sense: " + c.name());
}

}  // namespace dlscale
