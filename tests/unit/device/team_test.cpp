// SPDX-License-Identifier: BSD-3-Clause
#include "device/team.hpp"

#include <sched.h>

#include <atomic>
#include <set>
#include <vector>

#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

int processors_allowed() {
  cpu_set_t mask;
  REQUIRE(sched_getaffinity(0, sizeof mask, &mask) == 0);
  return CPU_COUNT(&mask);
}

}  // namespace

TEST_CASE("every worker does its task once, as often as asked") {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadTeam team(threads);
    CHECK(team.size() == threads);
    std::vector<std::atomic<int>> counts(static_cast<std::size_t>(threads));
    for (int i = 0; i < 500; ++i)
      team.run([&](int worker) { ++counts[static_cast<std::size_t>(worker)]; });
    for (const auto& count : counts) CHECK(count.load() == 500);
  }
}

TEST_CASE("workers sit on processors of their own, and the caller's mask is given back") {
  const int allowed = processors_allowed();
  ThreadTeam team(allowed);
  std::vector<int> cpus(static_cast<std::size_t>(allowed));
  team.run([&](int worker) { cpus[static_cast<std::size_t>(worker)] = sched_getcpu(); });
  CHECK(std::set<int>(cpus.begin(), cpus.end()).size() == cpus.size());
  CHECK(processors_allowed() == allowed);
}

TEST_CASE("more workers than processors still work") {
  ThreadTeam team(processors_allowed() + 3);
  std::atomic<int> total{0};
  team.run([&](int) { ++total; });
  CHECK(total.load() == team.size());
}
