// SPDX-License-Identifier: BSD-3-Clause
#include "summary/requirements.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "summary/scaling.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

constexpr const char* missed_key = "missed";
constexpr std::string_view efficiency_key = "min_efficiency";

// "" where it is met.
std::string missed_efficiency(double asked, const ScalingPoint& point, bool resumed) {
  const std::string what = fmt::format("require {} = {} missed", efficiency_key, asked);
  if (resumed)
    return what +
           " (a resumed run does not know the ranks measured before) measure the curve in one launch";
  if (!point.why.empty())
    return fmt::format("{} ({}) ask it of a distributed case with ranks = \"sweep\", or leave it out",
                       what, point.why);
  const Interval& e = point.efficiency;
  if (e.median >= asked) return "";
  return fmt::format(
      "{} ({:.3f} [{:.3f}, {:.3f}] from {} to {} ranks) look at its losses with dlscale-report", what,
      e.median, e.low, e.high, point.base->ranks, point.last->ranks);
}

}  // namespace

bool depends_on_others(const Case& c) {
  return c.require.contains(std::string(efficiency_key));
}

std::vector<MissedRequirement> missed_requirements(const Case& c, const Plan& plan, const Layout& layout,
                                                   const std::vector<CaseOutcome>& outcomes,
                                                   bool resumed) {
  const CaseOutcome& o = outcomes[static_cast<std::size_t>(c.id)];
  std::vector<MissedRequirement> missed;
  for (const auto& [name, asked] : c.require) {
    if (o.status == CaseStatus::skipped) {
      missed.push_back(
          {name, fmt::format("require {} = {} missed (the case was skipped) make it fit, or leave the "
                             "requirement out",
                             name, asked)});
      continue;
    }
    if (name == efficiency_key) {
      const std::string sentence =
          missed_efficiency(asked, scaling_point(c, plan, layout, outcomes), resumed);
      if (!sentence.empty()) missed.push_back({name, sentence});
      continue;
    }
    double got = not_a_number;
    bool met = false;
    if (name == "min_rate") {
      got = roof_share(c, plan.cases, outcomes).slowest;
      met = got >= asked;
    } else if (name == "min_flops") {
      got = flops_per_rank(c) / percentile(o.rank_seconds, 1);
      met = got >= asked;
    } else if (name == "max_time") {
      got = percentile(o.rank_seconds, 1);
      met = got <= asked;
    }
    if (!met)
      missed.push_back(
          {name, fmt::format("require {} = {} missed (slowest rank: {:.4g}) look at that rank, or "
                             "correct the requirement",
                             name, asked, got)});
  }
  return missed;
}

std::string with_missed(const std::string& results, const std::vector<MissedRequirement>& missed) {
  if (missed.empty() && !names_missed(results)) return results;
  json facts = results.empty() ? json::object() : json::parse(results);
  facts.erase(missed_key);
  if (missed.empty()) return facts.dump();
  for (const MissedRequirement& m : missed) facts[missed_key].push_back(m.name);
  return facts.dump();
}

bool names_missed(const std::string& results) {
  const json facts = json::parse(results, nullptr, false);
  return facts.is_object() && facts.contains(missed_key);
}

}  // namespace dlscale
