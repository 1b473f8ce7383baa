// SPDX-License-Identifier: BSD-3-Clause
// Who works at the same time.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "plan/machine.hpp"

namespace dlscale {
namespace {

// Ranks of every node by local rank.
std::vector<std::vector<int>> ranks_by_node(const Layout& layout) {
  std::vector<std::vector<int>> nodes(static_cast<std::size_t>(layout.nodes()));
  for (std::size_t rank = 0; rank < layout.ranks.size(); ++rank)
    nodes.at(static_cast<std::size_t>(layout.ranks[rank].node)).push_back(static_cast<int>(rank));
  for (auto& node : nodes)
    std::stable_sort(node.begin(), node.end(), [&](int a, int b) {
      return layout.ranks[static_cast<std::size_t>(a)].local_rank <
             layout.ranks[static_cast<std::size_t>(b)].local_rank;
    });
  return nodes;
}

// One rank per NUMA domain: the first of each, in the order of local ranks.
std::vector<int> first_of_each_domain(const std::vector<int>& node, const Layout& layout) {
  std::map<int, int> first;
  std::vector<int> result;
  for (const int rank : node)
    if (first.emplace(layout.ranks[static_cast<std::size_t>(rank)].numa, rank).second)
      result.push_back(rank);
  return result;
}

}  // namespace

int ranks_at_once(std::string_view occupancy) {
  int count = 0;
  const auto [end, error] =
      std::from_chars(occupancy.data(), occupancy.data() + occupancy.size(), count);
  const bool whole = error == std::errc() && end == occupancy.data() + occupancy.size();
  return whole && count > 0 && occupancy.front() != '0' ? count : 0;
}

bool is_occupancy(std::string_view occupancy) {
  return occupancy == "alone" || occupancy == "together" || ranks_at_once(occupancy) > 0;
}

std::vector<std::vector<int>> turns(std::string_view occupancy, const Layout& layout) {
  if (!is_occupancy(occupancy))
    throw Error(ExitCode::bad_input, fmt::format("unknown occupancy '{}'", one_line(occupancy)),
                "it is \"alone\", \"together\" or a number of ranks per node");
  if (occupancy == "together") {
    std::vector<int> all(layout.ranks.size());
    std::iota(all.begin(), all.end(), 0);
    return {all};
  }
  const auto count = static_cast<std::size_t>(ranks_at_once(occupancy));
  std::vector<std::vector<int>> result(1);
  for (const std::vector<int>& node : ranks_by_node(layout)) {
    if (count > 0) {
      result[0].insert(result[0].end(), node.begin(), node.begin() + std::min(count, node.size()));
      continue;
    }
    const std::vector<int> workers = first_of_each_domain(node, layout);
    if (workers.size() > result.size()) result.resize(workers.size());
    for (std::size_t turn = 0; turn < workers.size(); ++turn) result[turn].push_back(workers[turn]);
  }
  for (auto& turn : result) std::sort(turn.begin(), turn.end());
  return result;
}

std::vector<std::vector<int>> turns(const Team& team, const Layout& layout) {
  if (team.placement.empty()) return turns(team.occupancy, layout);
  std::vector<int> order;
  const auto nodes = ranks_by_node(layout);
  if (team.placement == "packed") {
    for (const auto& node : nodes) order.insert(order.end(), node.begin(), node.end());
  } else {
    for (std::size_t i = 0; order.size() < layout.ranks.size(); ++i)
      for (const auto& node : nodes)
        if (i < node.size()) order.push_back(node[i]);
  }
  if (team.ranks > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(team.ranks)));
  std::sort(order.begin(), order.end());
  return {order};
}

}  // namespace dlscale
