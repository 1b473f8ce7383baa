// SPDX-License-Identifier: BSD-3-Clause
#include "summary/scale_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/text.hpp"
#include "summary/scaling.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr double small_bytes = 1024;   // up to it the time of a pair is latency
constexpr double large_bytes = 65536;  // from it on, bandwidth
constexpr std::size_t most_curves = 4;

std::string mark(const RunSummary& run) {
  return run.oversubscribed ? "*" : "";
}

std::string ranks_text(int ranks) {
  return fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
}

const RankPlace& place_of(const RunSummary& run, int rank) {
  return run.layout.ranks[static_cast<std::size_t>(rank)];
}

bool between_nodes(const RunSummary& run, const PairTime& pair) {
  return place_of(run, pair.a).node != place_of(run, pair.b).node;
}

std::vector<double> times_of(const RunSummary& run, const Case& c, bool between) {
  std::vector<double> times;
  for (const PairTime& pair : run.outcome(c).means.pairs)
    if (between_nodes(run, pair) == between) times.push_back(pair.seconds);
  return times;
}

// Pairs between nodes where there are any.
bool has_node_pairs(const RunSummary& run, const Case& c) {
  return !times_of(run, c, true).empty();
}

double message_bytes(const Case& c) {
  return c.params.number("bytes");
}

// Messages of a bandwidth, or of a latency; those of the most ranks first, then the largest (smallest).
const Case* pair_case(const RunSummary& run, bool bandwidth, const Case* like = nullptr) {
  const Case* best = nullptr;
  for (const Case& c : run.plan.cases) {
    if (c.workload != "pairwise" || !reportable(run.outcome(c)) || run.outcome(c).means.pairs.empty() ||
        (bandwidth ? message_bytes(c) < large_bytes : message_bytes(c) > small_bytes) ||
        (like != nullptr && (c.ranks != like->ranks || c.placement != like->placement)))
      continue;
    const auto rank = [&](const Case& x) {
      return std::tuple(has_node_pairs(run, x), x.ranks,
                        bandwidth ? message_bytes(x) : -message_bytes(x));
    };
    if (best == nullptr || rank(c) > rank(*best)) best = &c;
  }
  return best;
}

std::optional<SummaryLine> pair_line(const RunSummary& run) {
  const Case* c = pair_case(run, true);
  if (c == nullptr) return std::nullopt;
  const bool between = has_node_pairs(run, *c);
  const PairTime* worst = nullptr;
  for (const PairTime& pair : run.outcome(*c).means.pairs)
    if (between_nodes(run, pair) == between && (worst == nullptr || pair.seconds > worst->seconds))
      worst = &pair;
  const std::vector<double> times = times_of(run, *c, between);
  std::string text =
      fmt::format("ranks {} – {} on {}", worst->a, worst->b, place_of(run, worst->a).host);
  if (between) text += " and " + place_of(run, worst->b).host;
  text += fmt::format(": {}{} each way at {}", format_si(message_bytes(*c) / worst->seconds, "B/s"),
                      mark(run), format_bytes(message_bytes(*c)));
  if (times.size() > 1)
    text += fmt::format(", {:+.1f} % in time against the median of {} pairs",
                        100 * (worst->seconds / median(times) - 1), times.size());
  else
    text += ", the only pair";
  if (const Case* small = pair_case(run, false, c)) {
    const std::vector<double> latencies = times_of(run, *small, between);
    text += fmt::format("; latency {}{} (median pair, {})", format_seconds(median(latencies)), mark(run),
                        format_bytes(message_bytes(*small)));
  }
  return SummaryLine{"worst pair", text};
}

// Of the gradients of a network that the run trains; 0 without.
double gradient_bytes(const RunSummary& run) {
  for (const Case& c : run.plan.cases)
    if (const Entry* entry = find_entry(c.workload, c.variant); entry != nullptr && entry->buckets) {
      const std::vector<double> buckets = entry->buckets(c.params);
      if (!buckets.empty()) return std::accumulate(buckets.begin(), buckets.end(), 0.0);
    }
  return 0;
}

// The least time of an all-reduce by what its pairs of ranks reach.
double pair_roof_s(const RunSummary& run, const Case& c) {
  const Case *large = pair_case(run, true, &c), *small = pair_case(run, false, &c);
  if (large == nullptr) return not_a_number;
  const bool between = has_node_pairs(run, *large);
  const double bus_bytes = c.cost.bytes_sent / c.ranks;
  return bus_bytes / message_bytes(*large) * median(times_of(run, *large, between)) +
         (small == nullptr ? 0 : median(times_of(run, *small, between)));
}

std::optional<SummaryLine> allreduce_line(const RunSummary& run) {
  const double wanted = gradient_bytes(run);
  const Case* best = nullptr;
  const auto rank = [&](const Case& c) {
    return std::tuple(c.ranks, std::fabs(message_bytes(c) - wanted) <= 0.01 * wanted, message_bytes(c));
  };
  for (const Case& c : run.plan.cases)
    if (c.workload == "collective" && c.params.text("op") == "allreduce" && c.ranks > 1 &&
        reportable(run.outcome(c)) && (best == nullptr || rank(c) > rank(*best)))
      best = &c;
  if (best == nullptr) return std::nullopt;
  const CaseOutcome& o = run.outcome(*best);
  std::string text =
      fmt::format("{}{} bus bandwidth at {} {} on {} ({})",
                  format_si(best->cost.bytes_sent / best->ranks / o.seconds.median, "B/s"), mark(run),
                  format_bytes(message_bytes(*best)), best->dtype, ranks_text(best->ranks),
                  o.batched ? "batched" : "isolated");
  const double share = pair_roof_s(run, *best) / (o.means.wall - o.means.arrival);
  if (share > 0) text += fmt::format(", {:.0f} % of what the median pair allows", 100 * share);
  return SummaryLine{"all-reduce", text};
}

std::string efficiency_text(const RunSummary& run, const ScalingPoint& point) {
  const Case &c = *point.last, &base = *point.base;
  const double work = c.cost.items > 0 ? c.cost.items : c.cost.flops;
  std::string text =
      fmt::format("{}: {}{} on {}", point.name, format_rate(c, work / run.outcome(c).seconds.median),
                  mark(run), ranks_text(c.ranks));
  if (!point.why.empty()) return text + ", no efficiency: " + point.why;
  const Interval& e = point.efficiency;
  text += fmt::format(", E = {:.3f}", e.median);
  text += e.valid ? fmt::format(" [{:.3f}, {:.3f}]", e.low, e.high)
                  : fmt::format(" ({} blocks: no interval)", e.blocks);
  return text + " against " + ranks_text(base.ranks);
}

}  // namespace

std::vector<SummaryLine> scale_lines(const RunSummary& run) {
  std::vector<SummaryLine> lines;
  if (auto line = pair_line(run)) lines.push_back(*line);
  if (auto line = allreduce_line(run)) lines.push_back(*line);
  const std::vector<ScalingPoint> points = scaling_points(run.plan, run.layout, run.outcomes);
  for (std::size_t i = 0; i < std::min(most_curves, points.size()); ++i)
    lines.emplace_back("scaling", efficiency_text(run, points[i]));
  if (points.size() > most_curves)
    lines.emplace_back(
        "", fmt::format("and {} more curves: dlscale-report shows them", points.size() - most_curves));
  return lines;
}

std::string largest_losses(const RunSummary& run) {
  std::vector<std::pair<double, std::string>> found;
  for (const ScalingPoint& point : scaling_points(run.plan, run.layout, run.outcomes))
    for (const Loss& loss : ledger(point, run.plan, run.layout, run.outcomes))
      if (loss.points > 0)
        found.emplace_back(loss.points,
                           fmt::format("{} on {}: {:.1f} points by {}", point.name,
                                       ranks_text(point.last->ranks), loss.points, loss.name));
  for (const Case& c : run.plan.cases)
    if (const double ratio = sharing(c, run.plan.cases, run.outcomes); ratio < 1) {
      const std::string name = c.workload + (c.dtype.empty() ? "" : " " + c.dtype) + " " + c.label;
      found.emplace_back(100 * (1 - ratio),
                         fmt::format("{}: {:.1f} points by sharing the node (together against alone)",
                                     trim(name), 100 * (1 - ratio)));
    }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(2, found.size()); ++i)
    text += (i == 0 ? "" : " · ") + found[i].second;
  return text;
}

}  // namespace dlscale
