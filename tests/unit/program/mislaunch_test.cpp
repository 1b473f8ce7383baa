// SPDX-License-Identifier: BSD-3-Clause
#include "mislaunch.hpp"

#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

std::vector<RankFacts> ranks_on(int count, int per_node, std::vector<int> cores_each) {
  std::vector<RankFacts> ranks;
  for (int r = 0; r < count; ++r) {
    RankFacts f;
    f.node = r / per_node;
    f.local_rank = r % per_node;
    f.host.host = "n" + std::to_string(f.node);
    f.host.core_ids = cores_each;
    f.host.affinity_cores = static_cast<int>(cores_each.size());
    f.host.memory_available_bytes = 8LL << 30;
    f.build_id = "abc";
    f.comparable = {"cpu: EPYC", "kernel: 6.1"};
    ranks.push_back(f);
  }
  return ranks;
}

Plan plan_with(int threads, const std::string& occupancy = "together") {
  Plan plan;
  plan.cases.resize(1);
  plan.cases[0].threads = threads;
  plan.cases[0].occupancy = occupancy;
  return plan;
}

bool mentions(const std::vector<std::string>& lines, std::string_view word) {
  for (const std::string& line : lines)
    if (line.find(word) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("a sound launch is silent") {
  auto ranks = ranks_on(2, 2, {0});
  ranks[1].host.core_ids = {1};
  const LaunchVerdict verdict =
      judge_launch(ranks, plan_with(1), {2, 0, "OMPI_COMM_WORLD_SIZE", false}, {});
  CHECK(verdict.refused.empty());
  CHECK(verdict.warnings.empty());
  CHECK_FALSE(verdict.oversubscribed);
}

TEST_CASE("singletons are refused, and only warned about when allowed") {
  const auto ranks = ranks_on(1, 1, {0});
  const LauncherTasks four{4, 0, "PMI_SIZE", false};
  CHECK(judge_launch(ranks, plan_with(1), four, {}).refused.find("PMI_SIZE=4") != std::string::npos);
  const LaunchVerdict allowed = judge_launch(ranks, plan_with(1), four, {"singletons"});
  CHECK(allowed.refused.empty());
  CHECK(mentions(allowed.warnings, "singletons"));
}

TEST_CASE("mixed binaries are refused by name of the host") {
  auto ranks = ranks_on(4, 2, {0, 1});
  ranks[3].build_id = "def";
  const LaunchVerdict verdict = judge_launch(ranks, plan_with(1), {}, {});
  CHECK(verdict.refused.find("rank 3 on n1") != std::string::npos);
  CHECK(judge_launch(ranks, plan_with(1), {}, {"mixed-binaries"}).refused.empty());
}

TEST_CASE("one GPU for two ranks is refused; one each, seen as number 0 by both, is not") {
  auto ranks = ranks_on(2, 2, {0, 1});
  ranks[0].gpus = ranks[1].gpus = {{"H200", "GPU-1", "01:00.0", 1}};
  ranks[0].gpu = ranks[1].gpu = 0;
  CHECK(judge_launch(ranks, plan_with(1), {}, {}).refused.find("ranks 0 and 1 on n0 share one GPU") ==
        0);
  CHECK(judge_launch(ranks, plan_with(1), {}, {"shared-gpu"}).refused.empty());
  ranks[1].gpus[0].uuid = "GPU-2";
  CHECK(judge_launch(ranks, plan_with(1), {}, {}).refused.empty());
  ranks[0].gpus = ranks[1].gpus = {{"H200", "GPU-1", "", 1}, {"H200", "GPU-2", "", 1}};
  ranks[1].gpu = 1;
  CHECK(judge_launch(ranks, plan_with(1), {}, {}).refused.empty());
}

TEST_CASE("threads beyond the affinity mask name the flag") {
  const LaunchVerdict verdict = judge_launch(ranks_on(1, 1, {0}), plan_with(4, "alone"), {}, {});
  CHECK(mentions(verdict.warnings, "slot:PE=4"));
  CHECK(mentions(verdict.warnings, "-c 4"));
}

TEST_CASE("more ranks × threads than cores is oversubscribed") {
  CHECK(judge_launch(ranks_on(3, 3, {0, 1}), plan_with(1), {}, {}).oversubscribed);
  CHECK_FALSE(judge_launch(ranks_on(2, 2, {0, 1}), plan_with(1), {}, {}).oversubscribed);
  CHECK(judge_launch(ranks_on(2, 2, {0, 1}), plan_with(2), {}, {}).oversubscribed);
  // alone: one rank at a time
  CHECK_FALSE(judge_launch(ranks_on(2, 2, {0, 1}), plan_with(2, "alone"), {}, {}).oversubscribed);
}

TEST_CASE("mixed hardware names the rarer value and its ranks") {
  auto ranks = ranks_on(6, 2, {0, 1});
  ranks[4].comparable[0] = "cpu: Xeon";
  const LaunchVerdict verdict = judge_launch(ranks, plan_with(1), {}, {});
  REQUIRE(verdict.warnings.size() == 1);
  CHECK(verdict.warnings[0] == "mixed cpu: 'Xeon' on ranks 4, 'EPYC' on the others");
}

TEST_CASE("cores are shared by the ranks whose masks hold them") {
  const Layout layout = make_layout(ranks_on(4, 4, {0, 1, 2, 3, 4, 5, 6, 7}), "cpu");
  CHECK(layout.ranks[0].cores == 2);
  const Layout crowded = make_layout(ranks_on(4, 4, {0}), "cpu");
  CHECK(crowded.ranks[0].cores == 1);  // never none
  const Layout two = make_layout(ranks_on(4, 2, {0, 1}), "cpu");
  CHECK(two.nodes() == 2);
  CHECK(two.ranks[3].host == "n1");
  const Layout again = layout_from_json(layout_to_json(two));
  CHECK(again.ranks.size() == 4);
  CHECK(again.ranks[3].node == 1);
  CHECK(again.node_memory_bytes == two.node_memory_bytes);
}
