// SPDX-License-Identifier: BSD-3-Clause
#include "mislaunch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace dlscale {
namespace {

int variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

bool allowed(const std::vector<std::string>& allow, std::string_view kind) {
  return std::find(allow.begin(), allow.end(), kind) != allow.end();
}

Error singletons(const LauncherTasks& tasks, std::string_view why) {
  return Error(
      ExitCode::refused,
      fmt::format("{}={}, but MPI_COMM_WORLD has 1 rank: singletons", tasks.variable, tasks.tasks), why,
      "start with the mpirun of the MPI that dlscale was built with, or srun --mpi=pmix; "
      "--allow singletons runs them side by side all the same");
}

std::string list_ranks(const std::vector<int>& ranks) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(8, ranks.size()); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", ranks[i]);
  if (ranks.size() > 8) text += fmt::format(", … ({} in all)", ranks.size());
  return text;
}

// One warning per fact that differs: the values, and who has the rarer ones.
void compare_ranks(const std::vector<RankFacts>& ranks, std::vector<std::string>& warnings) {
  std::map<std::string, std::map<std::string, std::vector<int>>> seen;  // fact → value → ranks
  for (std::size_t r = 0; r < ranks.size(); ++r)
    for (const std::string& line : ranks[r].comparable) {
      const std::size_t colon = line.find(": ");
      if (colon == std::string::npos) continue;
      seen[line.substr(0, colon)][line.substr(colon + 2)].push_back(static_cast<int>(r));
    }
  for (const auto& [fact, values] : seen) {
    if (values.size() < 2) continue;
    const auto common = std::max_element(values.begin(), values.end(), [](const auto& a, const auto& b) {
      return a.second.size() < b.second.size();
    });
    for (const auto& [value, who] : values)
      if (value != common->first)
        warnings.push_back(fmt::format("mixed {}: '{}' on ranks {}, '{}' on the others", fact, value,
                                       list_ranks(who), common->first));
  }
}

// Two ranks on one GPU: by its UUID, so that ranks which each see one GPU as their number 0 are told
// apart.
void check_gpus(const std::vector<RankFacts>& ranks, const std::vector<std::string>& allow,
                LaunchVerdict& verdict) {
  std::map<std::string, std::size_t> owner;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const GpuDevice* gpu = gpu_of(ranks[r]);
    if (gpu == nullptr) continue;
    const auto [first, fresh] = owner.emplace(gpu->uuid, r);
    if (fresh) continue;
    const std::string text = sentence(
        fmt::format("ranks {} and {} on {} share one GPU", first->second, r, ranks[r].host.host),
        fmt::format("{} {}", gpu->name, gpu->uuid), "start one rank per GPU, or --allow shared-gpu");
    if (!allowed(allow, "shared-gpu")) verdict.refused = text;
    verdict.warnings.push_back(text);
    return;
  }
}

void check_cores(const std::vector<RankFacts>& ranks, const Plan& plan, LaunchVerdict& verdict) {
  int threads = 1;  // the most that all ranks use at once, and the most of any case
  int together = 1;
  for (const Case& c : plan.cases) {
    if (c.status == CaseStatus::skipped) continue;
    threads = std::max(threads, c.threads);
    if (c.occupancy == "together") together = std::max(together, c.threads);
  }
  std::map<int, std::set<int>> cores;  // node → union of the masks' cores
  std::map<int, int> count;
  std::vector<int> narrow;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    cores[ranks[r].node].insert(ranks[r].host.core_ids.begin(), ranks[r].host.core_ids.end());
    ++count[ranks[r].node];
    if (threads > ranks[r].host.affinity_cores) narrow.push_back(static_cast<int>(r));
  }
  if (!narrow.empty())
    verdict.warnings.push_back(
        fmt::format("{} threads per rank, but only {} core{} in the affinity mask of rank{} {} (Open "
                    "MPI binds to one core at -np 1 "
                    "and 2) use mpirun --map-by slot:PE={} or srun -c {}",
                    threads, ranks[static_cast<std::size_t>(narrow[0])].host.affinity_cores,
                    ranks[static_cast<std::size_t>(narrow[0])].host.affinity_cores == 1 ? "" : "s",
                    narrow.size() == 1 ? "" : "s", list_ranks(narrow), threads, threads));
  for (const auto& [node, ids] : cores) {
    const int busy = count[node] * together;
    if (busy <= static_cast<int>(ids.size())) continue;
    const auto host =
        std::find_if(ranks.begin(), ranks.end(), [n = node](const RankFacts& f) { return f.node == n; });
    verdict.warnings.push_back(
        fmt::format("oversubscribed: {} ranks × {} threads on the {} cores of {} use fewer ranks or "
                    "threads; numbers are marked *",
                    count[node], together, ids.size(), host->host.host));
    verdict.oversubscribed = true;
    break;  // one node's sentence tells the story
  }
}

}  // namespace

LauncherTasks launcher_tasks() {
  if (variable("OMPI_COMM_WORLD_SIZE") > 0)
    return {variable("OMPI_COMM_WORLD_SIZE"), variable("OMPI_COMM_WORLD_RANK"), "OMPI_COMM_WORLD_SIZE",
            false};
  if (variable("PMI_SIZE") > 0) return {variable("PMI_SIZE"), variable("PMI_RANK"), "PMI_SIZE", false};
  // SLURM_NTASKS is set in a batch shell too; a step's own count is not.
  if (variable("SLURM_STEP_NUM_TASKS") > 0 && std::getenv("SLURM_PROCID") != nullptr)
    return {variable("SLURM_STEP_NUM_TASKS"), variable("SLURM_PROCID"), "SLURM_STEP_NUM_TASKS",
            std::getenv("PMIX_RANK") == nullptr};
  return {};
}

void refuse_singletons_before_init(const std::vector<std::string>& allow) {
  const LauncherTasks tasks = launcher_tasks();
  if (tasks.tasks > 1 && tasks.pmi_missing && !allowed(allow, "singletons"))
    throw singletons(tasks, "srun gave the tasks no PMIx, so they can't find each other");
}

LaunchVerdict judge_launch(const std::vector<RankFacts>& ranks, const Plan& plan,
                           const LauncherTasks& tasks, const std::vector<std::string>& allow) {
  LaunchVerdict verdict;
  if (tasks.tasks > 1 && ranks.size() == 1) {
    const Error error =
        singletons(tasks, "the launcher belongs to another MPI, or no PMI reached the program");
    if (!allowed(allow, "singletons")) verdict.refused = error.what();
    verdict.warnings.emplace_back(error.what());
  }
  for (std::size_t r = 1; r < ranks.size(); ++r)
    if (ranks[r].build_id != ranks[0].build_id) {
      const std::string text =
          sentence(fmt::format("rank {} on {} runs another dlscale than rank 0 on {}", r,
                               ranks[r].host.host, ranks[0].host.host),
                   fmt::format("build {:.12} against {:.12}", ranks[r].build_id, ranks[0].build_id),
                   "install one binary on all nodes, or --allow mixed-binaries");
      if (!allowed(allow, "mixed-binaries")) verdict.refused = text;
      verdict.warnings.push_back(text);
      break;
    }
  if (ranks[0].host.debug_build)
    verdict.warnings.emplace_back(
        "debug build: times are not the machine's; build with cmake --preset default");
  check_gpus(ranks, allow, verdict);
  check_cores(ranks, plan, verdict);
  compare_ranks(ranks, verdict.warnings);
  return verdict;
}

}  // namespace dlscale
