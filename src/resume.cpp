// SPDX-License-Identifier: BSD-3-Clause
#include "resume.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "device/gpu_module.hpp"
#include "launch.hpp"
#include "summary/requirements.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

bool is_open(const CaseRow& row) {
  return row.status == "planned" || row.status == "running";
}

bool always_again(const std::string& role) {
  return role == "baseline" || role == "roof";
}

[[noreturn]] void refuse(const std::string& file, const std::string& how, const std::string& remedy) {
  throw Error(ExitCode::bad_input, fmt::format("can't resume {}", file), how, remedy);
}

bool names_a_job(const CommandLine& line) {
  return !line.job.empty() || !line.sets.empty() || !line.cases.empty() || line.device || line.threads;
}

// What is left of a Slurm job's time differs from launch to launch; the job does not.
RunOptions with_budget_of(RunOptions run, const RunOptions& other) {
  run.time_budget_s = other.time_budget_s;
  run.budget_from_slurm = false;
  return run;
}

}  // namespace

ResumePlan read_resume(const CommandLine& line, int ranks, const std::string& build_id) {
  ResumePlan plan;
  plan.warning = RunFile::adopt_staged(line.resume);
  const ResumeState state = RunFile::inspect(line.resume);
  if (state.ranks != ranks)
    refuse(line.resume,
           fmt::format("it was begun with {} ranks, this launch has {}", state.ranks, ranks),
           fmt::format("start with {} ranks", state.ranks));
  if (state.build_id != build_id)
    refuse(line.resume,
           fmt::format("another binary began it: build {:.12}, this one is {:.12}", state.build_id,
                       build_id),
           "use that binary, or begin a new file with -o");
  plan.active = true;
  plan.config = parse_job(state.resolved_text, line.resume + ":/input/resolved", ".");
  plan.config.job_text = state.job_text;
  if (names_a_job(line)) {
    Config asked = load_config(line, find_jobs_dir());
    if (asked.run.budget_from_slurm) asked.run = with_budget_of(asked.run, plan.config.run);
    if (resolved_text(asked) != state.resolved_text)
      refuse(line.resume,
             fmt::format("the job asked for ({}) differs from the one in the file", asked.job_name),
             "leave the job and its options out, or begin a new file with -o");
  }
  plan.launch = state.launches;
  plan.first_case_id = static_cast<int>(state.cases.size());
  for (const CaseRow& row : state.cases) {
    plan.earlier_failures = plan.earlier_failures || row.status == "failed";
    plan.earlier_misses = plan.earlier_misses || names_missed(row.results_json);
    if (!is_open(row)) continue;
    plan.superseded.push_back(row);
    if (!always_again(row.role)) plan.open.insert(row.repro);
  }
  return plan;
}

Plan remaining_plan(const Plan& whole, ResumePlan& resume) {
  std::set<int> keep;
  for (const Case& c : whole.cases)
    if (resume.open.contains(c.repro) && !always_again(c.role)) {
      keep.insert(c.id);
      keep.insert(c.roofs.begin(), c.roofs.end());
    }
  Plan plan = whole;
  plan.cases.clear();
  std::map<int, int> renumbered;
  for (const Case& c : whole.cases) {
    if (keep.empty() || (!keep.contains(c.id) && c.role != "baseline")) continue;
    renumbered[c.id] = static_cast<int>(plan.cases.size());
    plan.cases.push_back(c);
    plan.cases.back().id = renumbered[c.id];
  }
  for (Case& c : plan.cases)
    for (int& roof : c.roofs) roof = renumbered.at(roof);
  for (CaseRow& row : resume.superseded) {
    const auto again = std::find_if(plan.cases.begin(), plan.cases.end(), [&](const Case& c) {
      return c.repro == row.repro && c.role == row.role;
    });
    row.status = "skipped";
    row.message =
        again == plan.cases.end()
            ? "interrupted; not needed by the launches that followed"
            : fmt::format("interrupted after {} blocks; measured again as case {} of launch {}",
                          row.blocks, resume.first_case_id + again->id, resume.launch);
  }
  return plan;
}

Config selftest_config(const CommandLine& line, int ranks) {
  CommandLine whole = line;
  // Variants differ in their keys: examples are those of the device. noop has none of its own.
  const std::string asked = load_config(line, find_jobs_dir()).run.device;
  const bool gpu = asked == "cuda" || (asked == "auto" && finds_gpu());
  for (const Entry& entry : registry())
    for (const Params& params : entry.examples()) {
      if (entry.variant != (gpu ? "cuda" : "cpu") && entry.name != "noop") continue;
      std::string text = entry.name;
      for (const auto& [key, value] : params.items()) text += fmt::format(" {}={}", key, to_text(value));
      whole.cases.push_back(text);
    }
  whole.cases.push_back(fmt::format("noop delay={} delay_rank={}", selftest_delay_s, ranks - 1));
  // In front of the user's own, so that those win.
  const std::vector<std::string> sets = {"run.name=selftest", "run.time_budget=30s",
                                         "sampling.interval=0.1"};
  whole.sets.insert(whole.sets.begin(), sets.begin(), sets.end());
  return load_config(whole, find_jobs_dir());
}

}  // namespace dlscale
