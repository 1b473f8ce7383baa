// SPDX-License-Identifier: BSD-3-Clause
#include "summary/requirements.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace dlscale {
namespace {

using nlohmann::json;

constexpr const char* missed_key = "missed";

}  // namespace

std::vector<MissedRequirement> missed_requirements(const Case& c, const std::vector<Case>& cases,
                                                   const std::vector<CaseOutcome>& outcomes) {
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
    double got = not_a_number;
    bool met = false;
    if (name == "min_rate") {
      got = roof_share(c, cases, outcomes).slowest;
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
  if (missed.empty()) return results;
  json facts = results.empty() ? json::object() : json::parse(results);
  facts[missed_key] = json::array();
  for (const MissedRequirement& m : missed) facts[missed_key].push_back(m.name);
  return facts.dump();
}

bool names_missed(const std::string& results) {
  const json facts = json::parse(results, nullptr, false);
  return facts.is_object() && facts.contains(missed_key);
}

}  // namespace dlscale
