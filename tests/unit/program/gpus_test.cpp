// SPDX-License-Identifier: BSD-3-Clause
#include "gpus.hpp"

#include <nlohmann/json.hpp>

#include "dlscale_catch.hpp"
#include "mislaunch.hpp"

using namespace dlscale;

namespace {

GpuDevice gpu(int index, int numa) {
  return {.name = "H100",
          .uuid = "GPU-" + std::to_string(index),
          .pci = "0000:0" + std::to_string(index) + ":00.0",
          .memory_bytes = 80LL << 30,
          .numa = numa,
          .numa_distance = numa < 0 ? -1 : 10 + 11 * numa};
}

RankFacts rank_on(int node, int local_rank, int numa, std::vector<GpuDevice> gpus) {
  RankFacts f;
  f.node = node;
  f.local_rank = local_rank;
  f.host.host = "n" + std::to_string(node);
  f.host.numa = numa;
  f.host.node_cores = 16;
  f.host.affinity_cores = 4;
  f.host.core_ids = {4 * local_rank};
  f.gpus = std::move(gpus);
  return f;
}

std::vector<RankFacts> taken(std::vector<RankFacts> ranks) {
  const std::vector<int> chosen = assign_gpus(ranks);
  for (std::size_t r = 0; r < ranks.size(); ++r) ranks[r].gpu = chosen[r];
  return ranks;
}

}  // namespace

TEST_CASE("each rank gets a GPU near its cores, in order") {
  const std::vector<GpuDevice> four = {gpu(0, 0), gpu(1, 0), gpu(2, 1), gpu(3, 1)};
  // Local ranks are bound to domains the other way round.
  const auto ranks = {rank_on(0, 0, 1, four), rank_on(0, 1, 1, four), rank_on(0, 2, 0, four),
                      rank_on(0, 3, 0, four)};
  CHECK(assign_gpus(ranks) == std::vector<int>{2, 3, 0, 1});
}

TEST_CASE("a rank that may run anywhere takes the next GPU, and every node starts anew") {
  const std::vector<GpuDevice> two = {gpu(0, 0), gpu(1, 1)};
  const std::vector<GpuDevice> others = {gpu(2, 0), gpu(3, 1)};
  std::vector<RankFacts> ranks = {rank_on(0, 0, 1, two), rank_on(0, 1, 1, two), rank_on(1, 0, 0, others),
                                  rank_on(1, 1, 0, others)};
  for (RankFacts& r : ranks) r.host.affinity_cores = r.host.node_cores;
  CHECK(assign_gpus(ranks) == std::vector<int>{0, 1, 0, 1});
}

TEST_CASE("ranks that are shown one GPU each take that one") {
  std::vector<RankFacts> ranks;
  for (int r = 0; r < 4; ++r) ranks.push_back(rank_on(0, r, 0, {gpu(r, r / 2)}));
  CHECK(assign_gpus(ranks) == std::vector<int>{0, 0, 0, 0});
  CHECK(judge_launch(taken(ranks), {}, {4, 0, "", true}, {}).refused.empty());
}

TEST_CASE("more ranks than GPUs share them evenly, and are refused unless allowed") {
  const std::vector<GpuDevice> two = {gpu(0, 0), gpu(1, 0)};
  std::vector<RankFacts> ranks;
  for (int r = 0; r < 4; ++r) ranks.push_back(rank_on(0, r, 0, two));
  CHECK(assign_gpus(ranks) == std::vector<int>{0, 1, 0, 1});
  const std::string refused = judge_launch(taken(ranks), {}, {4, 0, "", true}, {}).refused;
  CHECK(refused.find("ranks 0 and 2 on n0 share one GPU (H100 GPU-0)") == 0);
  CHECK(judge_launch(taken(ranks), {}, {4, 0, "", true}, {"shared-gpu"}).refused.empty());
}

TEST_CASE("without a GPU there is none, and the record says so") {
  const std::vector<RankFacts> ranks = {rank_on(0, 0, 0, {}), rank_on(0, 1, 0, {gpu(0, 1)})};
  CHECK(assign_gpus(ranks) == std::vector<int>{-1, 0});
  const auto list = nlohmann::json::parse(gpus_to_json(taken(ranks)));
  REQUIRE(list.size() == 1);
  CHECK(list[0].at("rank") == 1);
  CHECK(list[0].at("uuid") == "GPU-0");
  CHECK(list[0].at("numa") == 1);
  CHECK(list[0].at("numa_distance") == 21);
}

TEST_CASE("a node has the memory of its ranks' GPUs") {
  const std::vector<GpuDevice> two = {gpu(0, 0), gpu(1, 0)};
  const auto ranks =
      taken({rank_on(0, 0, 0, two), rank_on(0, 1, 0, two), rank_on(1, 0, 0, {gpu(2, 0)})});
  const Layout layout = make_layout(ranks, "cuda");
  CHECK(layout.node_memory_bytes == std::vector<double>{160.0 * (1 << 30), 80.0 * (1 << 30)});
  const auto shared = taken({rank_on(0, 0, 0, {gpu(0, 0)}), rank_on(0, 1, 0, {gpu(0, 0)})});
  CHECK(make_layout(shared, "cuda").node_memory_bytes == std::vector<double>{80.0 * (1 << 30)});
  const Layout assumed = assumed_layout_here(12, "cuda");
  CHECK(assumed.nodes() == 2);
  CHECK(assumed.ranks[11].local_rank == 3);
}
