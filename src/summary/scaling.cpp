// SPDX-License-Identifier: BSD-3-Clause
#include "summary/scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "workloads/contract.hpp"

namespace dlscale {
namespace {

// Keys that say how ranks work together, not on what.
const std::set<std::string_view> strategy = {"parallel",     "overlap", "communicate",
                                             "bucket_bytes", "scaling", "check_replicas"};

const CaseOutcome& of(const Case& c, const std::vector<CaseOutcome>& outcomes) {
  return outcomes[static_cast<std::size_t>(c.id)];
}

bool distributed(const Case& c) {
  return !c.placement.empty();
}

// Images where they are counted, else FLOP, over all participants; 0 for what has neither.
double useful_work(const Case& c) {
  return c.cost.items > 0 ? c.cost.items : c.cost.flops;
}

bool communicates(const Case& c) {
  return !c.params.has("communicate") || c.params.boolean("communicate");
}

// Equal but for the strategy, and if `sizes` for how images are divided.
bool equal_work(const Case& a, const Case& b, bool sizes = false) {
  const auto kept = [&](const Case& c) {
    std::map<std::string_view, Scalar> params;
    for (const auto& [key, value] : c.params.items())
      if (!strategy.contains(key) && !(sizes && (key == "batch" || key == "global_batch")))
        params.emplace(key, value);
    return params;
  };
  return a.workload == b.workload && a.variant == b.variant && a.dtype == b.dtype &&
         a.threads == b.threads && kept(a) == kept(b);
}

int nodes_of(const Case& c, const Layout& layout, const std::vector<CaseOutcome>& outcomes) {
  std::set<int> nodes;
  for (const int rank : of(c, outcomes).ranks)
    nodes.insert(layout.ranks[static_cast<std::size_t>(rank)].node);
  return static_cast<int>(nodes.size());
}

int busiest_node(const Case& c, const Layout& layout, const std::vector<CaseOutcome>& outcomes) {
  std::map<int, int> counts;
  int most = 0;
  for (const int rank : of(c, outcomes).ranks)
    most = std::max(most, ++counts[layout.ranks[static_cast<std::size_t>(rank)].node]);
  return most;
}

bool full_node(const Case& c, const Layout& layout, const std::vector<CaseOutcome>& outcomes) {
  if (nodes_of(c, layout, outcomes) != 1) return false;
  const int node = layout.ranks[static_cast<std::size_t>(of(c, outcomes).ranks.front())].node;
  return c.ranks == std::count_if(layout.ranks.begin(), layout.ranks.end(),
                                  [&](const RankPlace& p) { return p.node == node; });
}

// Mean of the means of those ranks that took part in both; of all where none did.
double local_s(const Case& own, const Case& point, const std::vector<CaseOutcome>& outcomes) {
  const CaseOutcome& o = of(own, outcomes);
  const std::vector<int>& ranks = of(point, outcomes).ranks;
  double common = 0, all = 0;
  int common_count = 0, count = 0;
  for (std::size_t i = 0; i < o.ranks.size() && i < o.means.rank_own.size(); ++i) {
    if (std::isnan(o.means.rank_own[i])) continue;
    all += o.means.rank_own[i];
    ++count;
    if (std::find(ranks.begin(), ranks.end(), o.ranks[i]) == ranks.end()) continue;
    common += o.means.rank_own[i];
    ++common_count;
  }
  if (common_count > 0) return common / common_count;
  return count > 0 ? all / count : not_a_number;
}

// Ranks doing by themselves what a participant of `c` does; "alone" = one per node.
double own_share_s(const Case& c, std::string_view occupancy, const Plan& plan, const Layout& layout,
                   const std::vector<CaseOutcome>& outcomes) {
  const double share = c.cost.items / std::max(1, c.ranks);
  if (!(share > 0)) return not_a_number;
  const int wanted = occupancy == "alone" ? 1 : busiest_node(c, layout, outcomes);
  const Case* found = nullptr;
  for (const Case& other : plan.cases) {
    if (distributed(other) || !reportable(of(other, outcomes)) ||
        std::fabs(other.cost.items - share) > 1e-9 * share || !equal_work(c, other, true))
      continue;
    const int at_once = other.occupancy == "alone" ? 1 : busiest_node(other, layout, outcomes);
    if (at_once != wanted) continue;
    if (found == nullptr || (found->occupancy != occupancy && other.occupancy == occupancy))
      found = &other;
  }
  return found == nullptr ? not_a_number : local_s(*found, c, outcomes);
}

double without_communication_s(const Case& c, const Plan& plan,
                               const std::vector<CaseOutcome>& outcomes) {
  for (const Case& other : plan.cases)
    if (distributed(other) && !communicates(other) && communicates(c) &&
        reportable(of(other, outcomes)) && other.ranks == c.ranks && other.placement == c.placement &&
        std::fabs(useful_work(other) - useful_work(c)) <= 1e-9 * useful_work(c) && equal_work(c, other))
      return local_s(other, c, outcomes);
  return not_a_number;
}

// By what the curves of a workload differ in.
void name_points(std::vector<ScalingPoint>& points) {
  std::map<std::string_view, const Case*> first;
  std::map<std::string_view, std::set<std::string_view>> differing;
  for (const ScalingPoint& point : points) {
    const Case& own = *point.last;
    const Case& other = *first.emplace(own.workload, &own).first->second;
    for (const auto& [key, value] : own.params.items())
      if (other.params.at(key) != value) differing[own.workload].insert(key);
  }
  for (ScalingPoint& point : points) {
    const Case& own = *point.last;
    point.name = own.workload;
    if (own.params.has("model")) point.name += " " + own.params.text("model");
    if (!own.dtype.empty()) point.name += " " + own.dtype;
    for (const std::string_view key : differing[own.workload])
      if (key != "model" && key != "dtype")
        point.name += fmt::format(" {}={}", key, to_text(own.params.at(key)));
  }
}

bool fewer_ranks(const Case* a, const Case* b) {
  return a->ranks < b->ranks;
}

// By all but the ranks; empty for what is part of no curve.
std::string curve_name(const Case& c, const std::vector<CaseOutcome>& outcomes) {
  if (!distributed(c) || !(useful_work(c) > 0) || !communicates(c) || !reportable(of(c, outcomes)))
    return "";
  Case alike = c;
  alike.ranks = 0;
  return identity(alike) + '\n' + c.series;
}

ScalingPoint point_of(const Curve& curve, const Case& c, const Layout& layout,
                      const std::vector<CaseOutcome>& outcomes) {
  ScalingPoint point{.base = *std::min_element(curve.begin(), curve.end(), fewer_ranks), .last = &c};
  // Over several nodes the baseline is a full node: what its ranks share, one rank has for itself.
  if (nodes_of(c, layout, outcomes) > 1)
    for (const Case* other : curve)
      if (full_node(*other, layout, outcomes)) point.base = other;
  const CaseOutcome &base = of(*point.base, outcomes), &last = of(c, outcomes);
  if (point.base->ranks > 1 && base.batched != last.batched)
    point.why = fmt::format("{} is {}, its baseline {}", c.ranks, last.batched ? "batched" : "isolated",
                            base.batched ? "batched" : "isolated");
  else
    point.efficiency = scaled(mover_ratio(base.seconds, last.seconds),
                              useful_work(c) / useful_work(*point.base) * point.base->ranks / c.ranks);
  return point;
}

}  // namespace

std::vector<ScalingPoint> scaling_points(const Plan& plan, const Layout& layout,
                                         const std::vector<CaseOutcome>& outcomes) {
  std::vector<Curve> curves;
  std::map<std::string, std::size_t> curve_at;
  for (const Case& c : plan.cases) {
    const std::string name = curve_name(c, outcomes);
    if (name.empty()) continue;
    const auto [at, is_new] = curve_at.emplace(name, curves.size());
    if (is_new) curves.emplace_back();
    curves[at->second].push_back(&c);
  }
  std::vector<ScalingPoint> points;
  for (const Curve& curve : curves) {
    const Case* last = *std::max_element(curve.begin(), curve.end(), fewer_ranks);
    if ((*std::min_element(curve.begin(), curve.end(), fewer_ranks))->ranks == last->ranks) continue;
    points.push_back(point_of(curve, *last, layout, outcomes));
  }
  name_points(points);
  return points;
}

Curve curve_of(const Case& c, const Plan& plan, const std::vector<CaseOutcome>& outcomes) {
  Curve curve;
  const std::string name = curve_name(c, outcomes);
  for (const Case& other : plan.cases)
    if (!name.empty() && other.workload == c.workload && curve_name(other, outcomes) == name)
      curve.push_back(&other);
  return curve;
}

ScalingPoint scaling_point(const Case& c, const Plan& plan, const Layout& layout,
                           const std::vector<CaseOutcome>& outcomes) {
  const Curve curve = curve_of(c, plan, outcomes);
  if (curve.empty())
    return {.last = &c,
            .why = distributed(c) ? "it has no rate, or does without communication"
                                  : "its ranks work by themselves"};
  ScalingPoint point = point_of(curve, c, layout, outcomes);
  if (curve.size() == 1 && c.ranks > 1) point.why = "it was measured with one number of ranks";
  return point;
}

std::vector<Loss> ledger(const ScalingPoint& point, const Plan& plan, const Layout& layout,
                         const std::vector<CaseOutcome>& outcomes) {
  const Case& c = *point.last;
  const CaseMeans &m = of(c, outcomes).means, &base = of(*point.base, outcomes).means;
  const double ideal =
      base.wall * useful_work(c) / useful_work(*point.base) * point.base->ranks / c.ranks;
  const double local = m.own - m.blocked;
  if (!(m.wall > 0) || !(ideal > 0) || std::isnan(local) || !point.why.empty()) return {};
  double alone = not_a_number, together = not_a_number;
  if (const auto blas = m.parts.find("blas"); blas != m.parts.end()) {
    together = blas->second;
  } else {
    alone = own_share_s(c, "alone", plan, layout, outcomes);
    together = own_share_s(c, "together", plan, layout, outcomes);
    if (std::isnan(together)) together = without_communication_s(c, plan, outcomes);
  }
  std::vector<Loss> losses;
  const auto add = [&](const std::string& name, double seconds) {
    losses.push_back({name, 100 * seconds / m.wall});
  };
  // What is known makes a term each, what is not is joined.
  std::string joined;
  double before = ideal;
  for (const auto& [name, level] : {std::pair("granularity", alone), std::pair("sharing", together),
                                    std::pair("interference", local)}) {
    joined += (joined.empty() ? "" : " + ") + std::string(name);
    if (std::isnan(level)) continue;
    add(joined, level - before);
    joined.clear();
    before = level;
  }
  if (std::isnan(m.waiting)) {
    add("waiting + exposed communication", m.blocked);
  } else {
    add("waiting", m.waiting);
    add("exposed communication", m.blocked - m.waiting);
  }
  add("skew", m.wall - m.own);
  return losses;
}

}  // namespace dlscale
