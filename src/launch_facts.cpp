// SPDX-License-Identifier: BSD-3-Clause
#include "launch_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "comm/agreement.hpp"
#include "device/gpu_module.hpp"
#include "gpus.hpp"
#include "launch.hpp"
#include "record/run_file.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

bool wants_thread(const CaseRequest& request) {
  const Scalar thread = std::string("thread");
  for (const Setting& setting : request.settings)
    if (setting.key == "overlap" &&
        std::find(setting.values.begin(), setting.values.end(), thread) != setting.values.end())
      return true;
  return std::any_of(request.rows.begin(), request.rows.end(), [&](const Params& row) {
    return row.has("overlap") && row.at("overlap") == thread;
  });
}

Config peeked_config(const CommandLine& line) {
  if (line.resume.empty()) return load_config(line, find_jobs_dir());
  return parse_job(RunFile::resolved_text(line.resume), line.resume, ".");
}

}  // namespace

int thread_level_for(const CommandLine& line) {
  try {
    const Config config = peeked_config(line);
    if (std::any_of(config.cases.begin(), config.cases.end(), wants_thread)) return MPI_THREAD_MULTIPLE;
  } catch (const std::exception&) {
    return MPI_THREAD_FUNNELED;  // the run will say why
  }
  return MPI_THREAD_FUNNELED;
}

std::string utc_now(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[64] = {};
  if (gmtime_r(&now, &parts) == nullptr || std::strftime(text, sizeof text, format, &parts) == 0)
    return "unknown";
  return text;
}

std::string default_output() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return fmt::format("run-{}.h5", job != nullptr ? job : utc_now("%Y%m%dT%H%M%SZ"));
}

std::string resolve_device(const MpiSession& session, const std::string& asked) {
  bool has_cuda_work = false;
  for (const Entry& entry : registry()) has_cuda_work = has_cuda_work || entry.variant == "cuda";
  if (asked == "cpu" || (asked == "auto" && !has_cuda_work)) return "cpu";
  if (asked == "auto") return agree(session.world(), finds_gpu(), "no GPU").ok ? "cuda" : "cpu";
  const GpuProbe& probe = probe_gpus();
  const Agreement agreed = agree(session.world(), probe.usable(), probe.why);
  if (agreed.ok) return "cuda";
  throw Error(ExitCode::refused, agreed.message);
}

void budget_from_slurm(Config& config) {
  if (!config.run.budget_from_slurm) return;
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  const long long end = text == nullptr ? 0 : std::atoll(text);
  if (end <= 0)
    throw Error(ExitCode::bad_input, "run.time_budget = \"slurm\" can't be used here",
                "SLURM_JOB_END_TIME is not set", "give a duration, such as time_budget = \"10min\"");
  const double left = static_cast<double>(end - static_cast<long long>(std::time(nullptr)));
  config.run.time_budget_s = std::max(10.0, 0.9 * left - 30);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string hosts_of(const Layout& layout) {
  std::string text;
  std::set<int> seen;
  for (const RankPlace& p : layout.ranks)
    if (seen.insert(p.node).second) text += (text.empty() ? "" : ",") + p.host;
  return text;
}

std::string environment_text(const Environment& e) {
  auto json = nlohmann::json::parse(environment_json());
  std::vector<StartTimes> starts;
  for (const RankFacts& f : e.ranks) starts.push_back(f.start);
  const std::int64_t root_ns = starts.empty() ? 0 : starts.front().main_ns;
  json["start"] = start_json(launch_time(std::getenv("DLSCALE_LAUNCH_NS"), root_ns), starts);
  if (!starts.empty()) json["mpi_init_s"] = json["start"]["mpi_init_s"]["max"];  // its older place
  json["gpus"] = nlohmann::json::parse(gpus_to_json(e.ranks));
  json["warnings"] = e.warnings;
  json["clock_cost_s"] = e.clock.cost_s;
  json["clock_resolution_s"] = e.clock.resolution_s;
  json["seed"] = e.config.run.seed;
  json["counters"] = {{"available", e.probes.counters()}, {"why", e.probes.why_missing()}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

double harness_seconds(const Plan& plan, const std::vector<CaseOutcome>& outcomes,
                       const std::vector<std::int64_t>& repeats, const ClockFacts& clock) {
  for (const Case& c : plan.cases) {
    const CaseOutcome& o = outcomes[static_cast<std::size_t>(c.id)];
    if (c.workload != "noop" || c.params.number("delay") > 0 || o.rank_seconds.empty()) continue;
    const double per_repeat = percentile(o.rank_seconds, 1);
    return std::max(
        0.0, per_repeat - clock.cost_s / static_cast<double>(repeats[static_cast<std::size_t>(c.id)]));
  }
  return not_a_number;
}

}  // namespace dlscale
