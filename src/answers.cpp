// SPDX-License-Identifier: BSD-3-Clause
// What needs no MPI: help, lists, plans, recovery.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "device/gpu_module.hpp"
#include "launch.hpp"
#include "mislaunch.hpp"
#include "plan/plan.hpp"
#include "record/provenance.hpp"
#include "record/run_file.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

int print(const std::string& text) {
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return static_cast<int>(written ? ExitCode::success : ExitCode::output_failed);
}

int print_plan(const CommandLine& line) {
  const Config config = load_config(line, find_jobs_dir());
  const LauncherTasks tasks = launcher_tasks();
  const int ranks = line.ranks > 0 ? static_cast<int>(line.ranks) : std::max(1, tasks.tasks);
  const Layout layout = assumed_layout_here(ranks, config.run.device == "cuda" ? "cuda" : "cpu");
  return print(render_plan(make_plan(config, layout, registry(), line.only), layout));
}

}  // namespace

int answer_without_running(const CommandLine& line) {
  // Under a launcher every task would answer: one is enough.
  const bool silent = launcher_tasks().rank != 0;
  const auto answer = [&](const std::string& text) { return silent ? 0 : print(text); };
  if (line.help) return answer(line.help_text);
  if (line.version) return answer(fmt::format("dlscale {} ({})\n", version(), git_hash()));
  if (line.dump_default) return answer(dump_default());
  if (line.list) return answer(render_workloads(registry()));
  if (line.plan) return silent ? 0 : print_plan(line);
  if (!line.recover.empty()) return silent ? 0 : answer(RunFile::recover(line.recover) + "\n");
  return -1;
}

std::string find_jobs_dir() {
  const std::string here = executable_dir();
  for (const std::string& dir :
       {here + "/../share/dlscale/jobs", here + "/../jobs", std::string(DLSCALE_JOBS_DIR)})
    if (access((dir + "/quick.toml").c_str(), R_OK) == 0) return dir;
  return ".";
}

void complain(const std::string& sentence) {
  if (launcher_tasks().rank != 0) return;
  std::fprintf(stderr, "dlscale: %s\n", sentence.c_str());
}

}  // namespace dlscale
