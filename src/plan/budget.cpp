// SPDX-License-Identifier: BSD-3-Clause
// Which case gets how much of the run's time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

constexpr double warmup_repetitions = 2;
constexpr double roof_share_s = 2, roof_share = 0.05;
constexpr double all_roofs_share = 0.25;                       // many roofs must not eat the run
constexpr double unlimited_case_s = 60, unlimited_factor = 3;  // without a time budget
constexpr double least_share = 0.25;   // of an equal share: what even the cheapest case may use
constexpr double prepare_share = 0.5;  // preparing is planned to take at most half

bool runs(const Case& c) {
  return c.status != CaseStatus::skipped;
}

double turns_of(const Case& c, Machine& machine) {
  return machine.participants(c.team()).turns;
}

// Seconds a case may use at most, all turns together; infinite without max_time. Every turn's min_time
// comes first, as in the sampler.
double most_s(const Case& c, Machine& machine) {
  if (c.sampling.max_time_s <= 0) return INFINITY;
  return std::max(c.sampling.max_time_s, c.sampling.min_time_s * turns_of(c, machine));
}

// Roofs and noop: small fixed shares, unless the job asks for a time.
void give_fixed_shares(std::vector<Case*>& cases, double budget_s, Machine& machine) {
  const double count = static_cast<double>(std::max<std::size_t>(1, cases.size()));
  const double share =
      std::min({roof_share_s, roof_share * budget_s, all_roofs_share * budget_s / count});
  for (Case* c : cases) {
    const double asked = c->sampling.min_time_s * turns_of(*c, machine);
    c->budget_s = std::min(std::max(share, asked), most_s(*c, machine));
  }
}

// What remains goes to all equally; what a case can't take because of its max_time goes to the others.
void share_rest(std::vector<Case*> cases, double rest_s, Machine& machine) {
  while (rest_s > 1e-9 && !cases.empty()) {
    const double each = rest_s / static_cast<double>(cases.size());
    std::vector<Case*> open;
    rest_s = 0;
    for (Case* c : cases) {
      const double room = std::max(0.0, most_s(*c, machine) - c->budget_s);
      c->budget_s += std::min(each, room);
      if (room > each) open.push_back(c);
      rest_s += std::max(0.0, each - room);
    }
    if (open.size() == cases.size()) return;
    cases = std::move(open);
  }
}

}  // namespace

double needed_s(const Case& c, Machine& machine) {
  const auto samples = static_cast<double>(std::max<std::int64_t>(1, c.block_samples));
  const double blocks_s = static_cast<double>(c.sampling.blocks) * samples * c.predicted_s;
  const double warmup_s = std::max(c.sampling.warmup_s, warmup_repetitions * c.predicted_s);
  const double once = std::max(c.sampling.min_time_s, blocks_s) + warmup_s;
  return std::min(once * turns_of(c, machine), most_s(c, machine));
}

void split_budget(Plan& plan, Machine& machine) {
  std::vector<Case*> fixed, asked;
  double needed = 0, prepare = 0, asked_needed = 0;
  for (Case& c : plan.cases) {
    if (!runs(c)) continue;
    (c.order == 0 ? fixed : asked).push_back(&c);
    needed += needed_s(c, machine);
    prepare += machine.prepare_s(c);
    if (c.order > 0) asked_needed += needed_s(c, machine);
  }
  plan.predicted_s = needed + prepare;
  if (plan.budget_s <= 0) {
    // No limit on the run. The sampler still needs a scale for every case.
    give_fixed_shares(fixed, INFINITY, machine);
    for (Case* c : asked)
      c->budget_s = std::min(std::max(unlimited_case_s, unlimited_factor * needed_s(*c, machine)),
                             most_s(*c, machine));
    return;
  }
  const double budget = plan.budget_s - std::min(prepare, prepare_share * plan.budget_s);
  give_fixed_shares(fixed, budget, machine);
  double rest = budget - asked_needed;
  for (const Case* c : fixed) rest -= c->budget_s;
  for (Case* c : asked) c->budget_s = needed_s(*c, machine);
  if (rest > 0) share_rest(asked, rest, machine);
  // Predicted microseconds are no reason to measure a case for microseconds only: predictions err.
  const double least =
      least_share * budget / static_cast<double>(std::max<std::size_t>(1, asked.size()));
  for (Case* c : asked) c->budget_s = std::max(c->budget_s, std::min(least, most_s(*c, machine)));
  if (plan.predicted_s > plan.budget_s)
    plan.warnings.push_back(fmt::format(
        "the cases need {} by prediction, the time budget is {} (warm-up, {} blocks and preparing of "
        "every case); all are kept: raise [run] time_budget or ask for less",
        format_seconds(plan.predicted_s), format_seconds(plan.budget_s),
        plan.cases.empty() ? 0 : plan.cases.front().sampling.blocks));
}

}  // namespace dlscale
