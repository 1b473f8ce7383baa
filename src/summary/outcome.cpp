// SPDX-License-Identifier: BSD-3-Clause
#include "summary/outcome.hpp"

#include <algorithm>

#include "workloads/contract.hpp"

namespace dlscale {
namespace {

RateKind kind_of(const Case& c) {
  const Entry* entry = find_entry(c.workload, c.variant);
  return entry == nullptr ? RateKind::time : entry->rate;
}

bool usable(const CaseOutcome& outcome) {
  return outcome.status == CaseStatus::completed && outcome.check_passed;
}

double seconds_of(const CaseOutcome& outcome, int world_rank) {
  const auto at = std::find(outcome.ranks.begin(), outcome.ranks.end(), world_rank);
  if (at == outcome.ranks.end()) return not_a_number;
  return outcome.rank_seconds[static_cast<std::size_t>(at - outcome.ranks.begin())];
}

}  // namespace

double work_per_rank(const Case& c) {
  switch (kind_of(c)) {
    case RateKind::flops:
      return c.cost.flops;
    case RateKind::bytes:
      return c.cost.bytes_touched;
    case RateKind::time:
      return 0;
  }
  return 0;
}

double rank_rate(const Case& c, const CaseOutcome& outcome, int world_rank) {
  const double seconds = seconds_of(outcome, world_rank);
  const double work = work_per_rank(c);
  return work > 0 && seconds > 0 ? work / seconds : not_a_number;
}

std::string_view rate_unit(const Case& c) {
  switch (kind_of(c)) {
    case RateKind::flops:
      return "FLOP/s";
    case RateKind::bytes:
      return "B/s";
    case RateKind::time:
      return "s";
  }
  return "s";
}

RoofShare roof_share(const Case& c, const std::vector<Case>& cases,
                     const std::vector<CaseOutcome>& outcomes) {
  RoofShare share;
  for (const int id : c.roofs) {
    const Case& roof = cases[static_cast<std::size_t>(id)];
    const CaseOutcome& roof_outcome = outcomes[static_cast<std::size_t>(id)];
    if (kind_of(roof) != kind_of(c) || !usable(roof_outcome)) continue;
    const CaseOutcome& own = outcomes[static_cast<std::size_t>(c.id)];
    std::vector<double> shares;
    for (const int rank : own.ranks)
      shares.push_back(rank_rate(c, own, rank) / rank_rate(roof, roof_outcome, rank));
    share.median = median(shares);
    share.slowest = percentile(shares, 0);
    share.roof = roof.workload == "fma" ? "FMA peak " + roof.dtype : roof.workload;
    return share;
  }
  return share;
}

double sharing(const Case& together, const std::vector<Case>& cases,
               const std::vector<CaseOutcome>& outcomes) {
  if (together.occupancy != "together") return not_a_number;
  for (const Case& alone : cases) {
    if (alone.occupancy != "alone" || alone.workload != together.workload ||
        !(alone.params == together.params) || alone.threads != together.threads ||
        alone.variant != together.variant)
      continue;
    const CaseOutcome& a = outcomes[static_cast<std::size_t>(alone.id)];
    const CaseOutcome& t = outcomes[static_cast<std::size_t>(together.id)];
    if (!usable(a) || !usable(t)) continue;
    std::vector<double> ratios;
    for (const int rank : a.ranks) ratios.push_back(seconds_of(a, rank) / seconds_of(t, rank));
    return median(ratios);
  }
  return not_a_number;
}

}  // namespace dlscale
