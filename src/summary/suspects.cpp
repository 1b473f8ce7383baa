// SPDX-License-Identifier: BSD-3-Clause
// First form of "who is slow": the analysis looks closer, over blocks and files.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "summary/summary.hpp"

namespace dlscale {
namespace {

constexpr double least_effect = 0.03;  // smaller deviations are not worth a node's name
constexpr double mads = 5 * 1.4826;    // five robust standard deviations

struct Deviation {
  int cases = 0;           // in which the rank was compared
  std::vector<double> by;  // relative excess where it was slow
};

// Excess of participant `i` over the median of the others, if it is beyond their spread; else NaN.
double excess(const CaseOutcome& o, std::size_t i, bool noop) {
  std::vector<double> others;
  for (std::size_t j = 0; j < o.rank_seconds.size(); ++j)
    if (j != i) others.push_back(o.rank_seconds[j]);
  const double center = median(others), spread = mads * median_absolute_deviation(others);
  if (noop) {  // nanoseconds of nothing differ by chance; a delay is of another order
    const double more = o.rank_seconds[i] - center;
    return more > std::fmax(1e-6, std::fmax(10 * center, spread)) ? more : not_a_number;
  }
  // The rank's own interval must lie beyond, not its median alone.
  return o.rank_low[i] > center + std::fmax(least_effect * center, spread)
             ? o.rank_seconds[i] / center - 1
             : not_a_number;
}

}  // namespace

std::vector<std::string> suspects(const RunSummary& run) {
  std::map<int, Deviation> by_rank;
  std::map<int, double> delayed;
  for (const Case& c : run.plan.cases) {
    const CaseOutcome& o = run.outcomes[static_cast<std::size_t>(c.id)];
    if (o.status != CaseStatus::completed || !o.check_passed || o.rank_seconds.size() < 2) continue;
    // All ranks of a distributed case wait for each other: their times tell nothing of one.
    if (!c.placement.empty()) continue;
    const bool noop = work_per_rank(c) == 0;
    if (!noop && run.oversubscribed) continue;  // ranks then take each other's cores: nobody is at fault
    for (std::size_t i = 0; i < o.rank_seconds.size(); ++i) {
      const double more = excess(o, i, noop);
      const int rank = o.ranks[i];
      if (noop) {
        if (more > 0) delayed[rank] = std::fmax(delayed[rank], more);
        continue;
      }
      ++by_rank[rank].cases;
      if (more > 0) by_rank[rank].by.push_back(more);
    }
  }
  std::vector<std::string> lines;
  const auto place = [&](int rank) {
    const RankPlace& p = run.layout.ranks[static_cast<std::size_t>(rank)];
    return fmt::format("rank {} on {} (local rank {})", rank, p.host, p.local_rank);
  };
  for (const auto& [rank, seconds] : delayed)
    lines.push_back(fmt::format("{}: late in noop by {}", place(rank), format_seconds(seconds)));
  const char* few = run.layout.ranks.size() == 2 ? ", the slower of two" : "";
  for (const auto& [rank, d] : by_rank)
    if (2 * d.by.size() >= static_cast<std::size_t>(d.cases) && !d.by.empty())
      lines.push_back(fmt::format("{}: slower in {} of {} cases, by {:.1f} % (median){}", place(rank),
                                  d.by.size(), d.cases, 100 * median(d.by), few));
  return lines;
}

}  // namespace dlscale
