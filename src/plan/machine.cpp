// SPDX-License-Identifier: BSD-3-Clause
#include "plan/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dlscale {
namespace {

constexpr double least_s = 1e-6;  // a call and two clock readings: nothing is planned to take less

std::string host_of(int node, const Layout& layout) {
  for (const RankPlace& place : layout.ranks)
    if (place.node == node && !place.host.empty()) return place.host;
  return std::to_string(node);
}

void check_layout(const Layout& layout) {
  if (layout.ranks.empty()) throw Error(ExitCode::bad_input, "a plan needs at least one rank");
  for (const RankPlace& place : layout.ranks)
    if (place.node < 0 || place.node >= layout.nodes() || place.cores < 1)
      throw Error(ExitCode::bad_input,
                  fmt::format("rank on node {} with {} cores makes no sense", place.node, place.cores),
                  fmt::format("the layout has {} nodes", layout.nodes()));
}

}  // namespace

Machine::Machine(const Layout& layout) : layout_(layout) {
  check_layout(layout);
  ranks_on_.resize(static_cast<std::size_t>(layout.nodes()));
  least_cores_ = layout.ranks.front().cores;
  for (const RankPlace& place : layout.ranks) {
    most_ranks_per_node_ =
        std::max(most_ranks_per_node_, ++ranks_on_[static_cast<std::size_t>(place.node)]);
    least_cores_ = std::min(least_cores_, place.cores);
  }
}

const Participants& Machine::participants(const Team& team) {
  const auto found = known_.find(team);
  if (found != known_.end()) return found->second;
  return known_.emplace(team, count(team)).first->second;
}

Participants Machine::count(const Team& team) const {
  Participants result;
  const auto by_turn = turns(team, layout_);
  std::vector<int> holding(
      static_cast<std::size_t>(layout_.nodes()));  // all turns' ranks hold their data
  result.turns = static_cast<int>(by_turn.size());
  result.least_cores = std::numeric_limits<int>::max();
  for (const auto& turn : by_turn) {
    std::vector<int> at_once(holding.size());
    for (const int rank : turn) {
      const RankPlace& place = layout_.ranks[static_cast<std::size_t>(rank)];
      const auto node = static_cast<std::size_t>(place.node);
      ++holding[node];
      result.most_at_once = std::max(result.most_at_once, ++at_once[node]);
      result.least_cores = std::min(result.least_cores, place.cores);
    }
    result.ranks += static_cast<int>(turn.size());
  }
  // A rank can't use the GPUs of others, whether they take part or not.
  const std::vector<int>& sharing = layout_.device == "cuda" ? ranks_on_ : holding;
  result.memory_bytes = std::numeric_limits<double>::infinity();
  int tightest = -1;
  for (std::size_t node = 0; node < holding.size(); ++node) {
    if (holding[node] == 0) continue;
    ++result.nodes;
    const double memory = layout_.node_memory_bytes[node];
    if (!(memory > 0 && memory / sharing[node] < result.memory_bytes))
      continue;  // 0: the system did not tell
    result.memory_bytes = memory / sharing[node];
    tightest = static_cast<int>(node);
  }
  if (tightest >= 0) {
    const int ranks = sharing[static_cast<std::size_t>(tightest)];
    const std::string memory =
        format_bytes(layout_.node_memory_bytes[static_cast<std::size_t>(tightest)]);
    result.tightest = fmt::format("node {}: {} shared by {} {}", host_of(tightest, layout_), memory,
                                  ranks, ranks == 1 ? "rank" : "ranks");
  }
  return result;
}

double Machine::predicted_s(const Case& c, bool distributed) {
  const Participants& p = participants(c.team());
  // Rates of GPUs are per GPU, and each rank has its own.
  const bool gpu = layout_.device == "cuda";
  const double cores = gpu ? 1 : std::min(c.threads, p.least_cores);
  const double rate =
      c.dtype.empty() || c.dtype == "f64" ? layout_.assumed_flops_f64 : layout_.assumed_flops_f32;
  // Costs of distributed cases are over all participants, others per rank.
  const double core_count = distributed ? cores * p.ranks : cores;
  const double memory_rate = gpu           ? layout_.assumed_bytes_per_s * (distributed ? p.ranks : 1)
                             : distributed ? layout_.assumed_bytes_per_s * p.nodes
                                           : layout_.assumed_bytes_per_s / std::max(1, p.most_at_once);
  const double compute_s = c.cost.flops / (rate * core_count);
  const double memory_s = c.cost.bytes_touched / memory_rate;
  const double network_s = c.cost.bytes_sent / (layout_.assumed_bytes_per_s * std::max(1, p.nodes));
  return std::max(least_s, std::max(compute_s, memory_s) + network_s);
}

double Machine::prepare_s(const Case& c) {
  // Every byte is written once by the allocation's first touch and once by the fill.
  const Participants& p = participants(c.team());
  const double on_node =
      c.cost.memory_bytes * std::ceil(static_cast<double>(p.ranks) / std::max(1, p.nodes));
  return 2 * on_node / layout_.assumed_bytes_per_s;
}

Layout assume_layout(int ranks, int ranks_per_node, int cores_per_node, double node_memory_bytes) {
  if (ranks < 1 || ranks_per_node < 1 || cores_per_node < 1)
    throw Error(ExitCode::bad_input,
                fmt::format("can't assume {} ranks, {} per node of {} cores", ranks, ranks_per_node,
                            cores_per_node),
                "each must be at least 1");
  Layout layout;
  layout.assumed = true;
  const int nodes = ranks / ranks_per_node + (ranks % ranks_per_node > 0 ? 1 : 0);
  layout.node_memory_bytes.assign(static_cast<std::size_t>(nodes), node_memory_bytes);
  layout.ranks.reserve(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    const int node = rank / ranks_per_node;
    layout.ranks.push_back({.host = fmt::format("node{}", node),
                            .node = node,
                            .local_rank = rank % ranks_per_node,
                            .numa = 0,
                            .cores = std::max(1, cores_per_node / ranks_per_node)});
  }
  return layout;
}

}  // namespace dlscale
