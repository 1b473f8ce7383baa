// SPDX-License-Identifier: BSD-3-Clause
#include "summary/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

RateKind kind_of(const Case& c) {
  const Entry* entry = find_entry(c.workload, c.variant);
  return entry == nullptr ? RateKind::time : entry->rate;
}

double seconds_of(const CaseOutcome& outcome, int world_rank) {
  const auto at = std::find(outcome.ranks.begin(), outcome.ranks.end(), world_rank);
  if (at == outcome.ranks.end()) return not_a_number;
  return outcome.rank_seconds[static_cast<std::size_t>(at - outcome.ranks.begin())];
}

// Costs of distributed cases are over all participants.
double work_of_kind(const Case& c, RateKind kind) {
  const Entry* entry = find_entry(c.workload, c.variant);
  const double ranks = entry != nullptr && entry->is_distributed(c.params) ? std::max(1, c.ranks) : 1;
  switch (kind) {
    case RateKind::flops:
      return c.cost.flops / ranks;
    case RateKind::bytes:
      return c.cost.bytes_touched / ranks;
    case RateKind::images:
      return c.cost.items / ranks;
    case RateKind::bus:
      return c.cost.bytes_sent / ranks;
    case RateKind::time:
      return 0;
  }
  return 0;
}

// The kind in which a case is compared with a roof: no roof counts images.
RateKind roof_kind(const Case& c) {
  const RateKind kind = kind_of(c);
  return kind == RateKind::images ? RateKind::flops : kind;
}

}  // namespace

bool reportable(const CaseOutcome& outcome) {
  return outcome.status == CaseStatus::completed && outcome.check_passed && outcome.seconds.median > 0;
}

double work_per_rank(const Case& c) {
  return work_of_kind(c, kind_of(c));
}

double flops_per_rank(const Case& c) {
  return work_of_kind(c, RateKind::flops);
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
    case RateKind::bus:
      return "B/s";
    case RateKind::images:
      return "images/s";
    case RateKind::time:
      return "s";
  }
  return "s";
}

std::string format_rate(const Case& c, double rate) {
  if (kind_of(c) != RateKind::images) return format_si(rate, rate_unit(c));
  if (!(rate > 0) || std::isinf(rate)) return "n/a";
  const bool millions = rate >= 1e6;
  const double shown = millions ? 1e-6 * rate : rate;
  // Four digits, and no exponent: rounded to them first.
  const int exponent = static_cast<int>(std::floor(std::log10(shown)));
  const double step = std::pow(10.0, exponent - 3);
  return fmt::format("{:.{}f}{} images/s", step * std::round(shown / step),
                     std::clamp(3 - exponent, 0, 9), millions ? " M" : "");
}

RoofShare roof_share(const Case& c, const std::vector<Case>& cases,
                     const std::vector<CaseOutcome>& outcomes) {
  RoofShare share;
  for (const int id : c.roofs) {
    const Case& roof = cases[static_cast<std::size_t>(id)];
    const CaseOutcome& roof_outcome = outcomes[static_cast<std::size_t>(id)];
    const double work = work_of_kind(c, roof_kind(c)), roof_work = work_per_rank(roof);
    if (kind_of(roof) != roof_kind(c) || !(work > 0) || !(roof_work > 0) || !reportable(roof_outcome))
      continue;
    const CaseOutcome& own = outcomes[static_cast<std::size_t>(c.id)];
    std::vector<double> shares;
    for (const int rank : own.ranks)
      shares.push_back(work / seconds_of(own, rank) / (roof_work / seconds_of(roof_outcome, rank)));
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
    if (!reportable(a) || !reportable(t)) continue;
    std::vector<double> ratios;
    for (const int rank : a.ranks) ratios.push_back(seconds_of(a, rank) / seconds_of(t, rank));
    return median(ratios);
  }
  return not_a_number;
}

}  // namespace dlscale
