// SPDX-License-Identifier: BSD-3-Clause
#include "gpus.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "base/error.hpp"
#include "comm/agreement.hpp"

namespace dlscale {
namespace {

bool is_far(const RankFacts& rank, const GpuDevice& gpu) {
  const bool bound = rank.host.affinity_cores < rank.host.node_cores;
  return bound && rank.host.numa >= 0 && gpu.numa >= 0 && rank.host.numa != gpu.numa;
}

}  // namespace

std::vector<int> assign_gpus(const std::vector<RankFacts>& ranks) {
  std::vector<std::size_t> order(ranks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(ranks[a].node, ranks[a].local_rank) < std::tie(ranks[b].node, ranks[b].local_rank);
  });
  std::vector<int> chosen(ranks.size(), -1);
  std::map<std::string, int> users;
  for (const std::size_t r : order) {
    const std::vector<GpuDevice>& gpus = ranks[r].gpus;
    std::tuple<int, bool, int> best;
    for (int g = 0; g < static_cast<int>(gpus.size()); ++g) {
      const GpuDevice& gpu = gpus[static_cast<std::size_t>(g)];
      const std::tuple<int, bool, int> rating{users[gpu.uuid], is_far(ranks[r], gpu), g};
      if (chosen[r] >= 0 && rating >= best) continue;
      best = rating;
      chosen[r] = g;
    }
    if (chosen[r] >= 0) ++users[gpus[static_cast<std::size_t>(chosen[r])].uuid];
  }
  return chosen;
}

std::string take_gpus(const MpiSession& session, std::vector<RankFacts>& facts) {
  std::string text;
  if (session.world().rank() == 0) {
    const std::vector<int> chosen = assign_gpus(facts);
    for (std::size_t r = 0; r < facts.size(); ++r) facts[r].gpu = chosen[r];
    text = nlohmann::json(chosen).dump();
  }
  broadcast_bytes(session.world(), text);
  const auto chosen = nlohmann::json::parse(text).get<std::vector<int>>();
  const std::string failure =
      failure_of([&] { select_gpu(chosen.at(static_cast<std::size_t>(session.world().rank()))); });
  const Agreement all = agree(session.world(), failure.empty(), failure);
  return all.ok ? std::string() : all.message;
}

std::string gpus_to_json(const std::vector<RankFacts>& ranks) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const GpuDevice* gpu = gpu_of(ranks[r]);
    if (gpu == nullptr) continue;
    const int distance = gpu->numa_distance;
    list.push_back({{"rank", r},
                    {"name", gpu->name},
                    {"uuid", gpu->uuid},
                    {"pci", gpu->pci},
                    {"numa", gpu->numa},
                    {"numa_distance", distance < 0 ? nlohmann::json() : nlohmann::json(distance)}});
  }
  return list.dump();
}

}  // namespace dlscale
