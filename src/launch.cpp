// SPDX-License-Identifier: BSD-3-Clause
// A run on all ranks: places, plan, file, measuring, summary.
#include "launch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "comm/agreement.hpp"
#include "director.hpp"
#include "gpus.hpp"
#include "launch_facts.hpp"
#include "mislaunch.hpp"
#include "places.hpp"
#include "record/staging.hpp"
#include "resume.hpp"
#include "summary/summary.hpp"

namespace dlscale {
namespace {

// Does `action` on the root; all ranks learn whether it worked. The sentence is printed once. Returns
// the exit code.
template <class Action>
int on_root(const MpiSession& session, Action&& action) {
  int code = 0;
  if (session.world().rank() == 0) {
    try {
      action();
    } catch (const Error& e) {
      std::fprintf(stderr, "dlscale: %s\n", e.what());
      code = static_cast<int>(e.exit_code());
    } catch (const std::exception& e) {
      std::fprintf(stderr, "dlscale: %s\n", e.what());
      code = static_cast<int>(ExitCode::case_failed);
    }
  }
  broadcast_value(session.world(), code);
  return code;
}

// The detection itself is tested: the rank that the self-test delays must be the one that the summary
// names.
bool delayed_rank_named(const RunSummary& summary) {
  const int last = static_cast<int>(summary.layout.ranks.size()) - 1;
  if (last == 0) return true;  // nobody to compare with
  const std::string start = fmt::format("rank {} ", last);
  for (const std::string& line : suspects(summary))
    if (line.starts_with(start)) return true;
  std::printf("selftest: rank %d was delayed by %g s in a no-op, but is not named\n", last,
              selftest_delay_s);
  return false;
}

}  // namespace

// Kept in one object so that each stage reads as a sentence; all members are known to all ranks unless
// noted.
class Run {
 public:
  Run(const CommandLine& line, Ending& ending)
      : line_(line), ending_(ending), session_(thread_level_for(line)) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { ending_.watch(nullptr); }
  int execute();
  int rank() const { return session_.world().rank(); }
  bool output_is_broken() const { return file_ && file_->broken(); }

 private:
  int agree_on_config();
  int agree_on_plan();
  int open_file();
  void close_finished();
  int measure();
  int finish(Director& director, const std::vector<CaseOutcome>& outcomes);
  void start_watchdog();
  void find_epochs();
  FileSpec file_spec() const;

  const CommandLine& line_;
  Ending& ending_;
  std::int64_t started_ns_ = now_ns();
  std::string started_utc_ = utc_now("%Y-%m-%dT%H:%M:%SZ");
  Probes probes_;  ///< before MPI and all others that make threads: these are counted then
  MpiSession session_;
  Config config_;
  std::vector<RankFacts> facts_;  ///< root
  Layout layout_;
  Plan plan_;
  LaunchVerdict verdict_;  ///< root
  ResumePlan resume_;      ///< root
  ClockFacts clock_;
  std::int64_t epoch_ns_ = 0;
  std::vector<std::int64_t> node_epochs_;  ///< root
  std::unique_ptr<RunFile> file_;          ///< root
  std::unique_ptr<Watchdog> watchdog_;
};

int Run::execute() {
  if (const int code = agree_on_config(); code != 0) return code;
  if (const int code = agree_on_plan(); code != 0) return code;
  probes_.agree(session_.world());
  start_watchdog();
  if (const int code = open_file(); code != 0) return code;
  if (plan_.cases.empty()) return 0;  // nothing left to resume
  find_epochs();
  return measure();
}

int Run::agree_on_config() {
  std::string text;
  const int code = on_root(session_, [&] {
    if (line_.resume.empty()) {
      config_ = line_.selftest ? selftest_config(line_, session_.world().size())
                               : load_config(line_, find_jobs_dir());
    } else {
      resume_ = read_resume(line_, session_.world().size(), executable_build_id());
      config_ = resume_.config;
    }
    budget_from_slurm(config_);
    text = config_to_json(config_);
  });
  if (code != 0) return code;
  broadcast_bytes(session_.world(), text);
  config_ = config_from_json(text);
  return 0;
}

int Run::agree_on_plan() {
  std::string device;
  try {
    device = resolve_device(session_, config_.run.device);
  } catch (const Error& e) {  // the same on all ranks
    complain(e.what());
    return static_cast<int>(e.exit_code());
  }
  facts_ = gather_places(session_, device);
  if (device == "cuda")
    if (const std::string problem = take_gpus(session_, facts_); !problem.empty()) {
      complain(problem);
      return static_cast<int>(ExitCode::refused);
    }
  if (device == "cuda") probes_.watch_gpu();
  clock_ = measure_clock();
  std::string layout_text, plan_text;
  const int code = on_root(session_, [&] {
    layout_ = make_layout(facts_, device);
    plan_ = make_plan(config_, layout_, registry(), line_.only);
    if (resume_.active) plan_ = remaining_plan(plan_, resume_);
    verdict_ = judge_launch(facts_, plan_, launcher_tasks(), line_.allow);
    if (!verdict_.refused.empty()) throw Error(ExitCode::refused, verdict_.refused);
    verdict_.warnings.insert(verdict_.warnings.end(), plan_.warnings.begin(), plan_.warnings.end());
    if (!resume_.warning.empty()) verdict_.warnings.push_back(resume_.warning);
    layout_text = layout_to_json(layout_);
    plan_text = plan_to_json(plan_);
  });
  if (code != 0) return code;
  broadcast_bytes(session_.world(), layout_text);
  broadcast_bytes(session_.world(), plan_text);
  layout_ = layout_from_json(layout_text);
  plan_ = plan_from_json(plan_text);
  return 0;
}

FileSpec Run::file_spec() const {
  FileSpec spec;
  spec.dlscale_version = version();
  spec.git_hash = git_hash();
  spec.build_id = executable_build_id();
  spec.ranks = session_.world().size();
  spec.job_text = config_.job_text;
  spec.resolved_text = resolved_text(config_);
  spec.command_line = joined(line_.argv);
  spec.launch = {started_utc_, hosts_of(layout_), resume_.active ? "resume" : "first"};
  spec.environment_json = environment_text({facts_, verdict_.warnings, clock_, config_, probes_});
  spec.rank_rows = rank_rows(facts_, plan_);
  for (const Case& c : plan_.cases)
    spec.cases.push_back(
        case_layout(c, layout_, probes_.list(), resume_.first_case_id + c.id, resume_.launch));
  return spec;
}

// Every case was done when the earlier launch was ended: what is left is to say so in the file.
void Run::close_finished() {
  RunFile::reopen(line_.resume, file_spec(), resume_.superseded)
      ->close(resume_.earlier_failures ? "failed" : "completed");
  if (resume_.earlier_failures)
    throw Error(
        ExitCode::case_failed,
        fmt::format("nothing to resume: every case of {} is done, and some failed", line_.resume),
        "a failed case is not tried again", "see its message with dlscale-report");
  if (resume_.earlier_misses)
    throw Error(ExitCode::requirement_missed,
                fmt::format("nothing to resume: every case of {} is done, and some missed what was "
                            "required of them",
                            line_.resume),
                "a completed case is not measured again", "see its message with dlscale-report");
  std::printf("nothing to resume: every case of %s is done\n", line_.resume.c_str());
}

int Run::open_file() {
  // A resume copies the file first; a slow disk writes 50 MB/s.
  double expected_s = resume_.active ? 1e-6 / 50 * static_cast<double>(file_size(line_.resume)) : 0;
  broadcast_value(session_.world(), expected_s);
  if (session_.world().rank() == 0)
    watchdog_->working("opening the output", -1, expected_s);
  else
    watchdog_->waiting(0, expected_s, "rank 0 to open the output");
  const int code = on_root(session_, [&] {
    if (resume_.active && plan_.cases.empty()) return close_finished();
    const std::string path = !line_.output.empty() ? line_.output : default_output();
    file_ = resume_.active ? RunFile::reopen(line_.resume, file_spec(), resume_.superseded)
                           : RunFile::create(path, file_spec());
    ending_.watch(file_.get());
    for (const std::string& warning : verdict_.warnings)
      std::fprintf(stderr, "dlscale: warning: %s\n", warning.c_str());
  });
  watchdog_->working("between stages", -1, 0);
  return code;
}

void Run::start_watchdog() {
  Watchdog::Setup setup;
  setup.rank = session_.world().rank();
  setup.size = session_.world().size();
  setup.patience_s = config_.run.watchdog_s;
  for (const RankPlace& p : layout_.ranks) setup.hosts.push_back(p.host);
  setup.on_expired = [this](const std::string& sentence) { ending_.on_expired(sentence); };
  setup.on_fatal = [this](int rank, const std::string& message) { ending_.on_fatal(rank, message); };
  watchdog_ = std::make_unique<Watchdog>(setup);
  WatchdogAddress first = watchdog_->address(), second = watchdog_->address();
  broadcast_value(session_.world(), first, 0);
  if (session_.world().size() > 1) broadcast_value(session_.world(), second, 1);
  watchdog_->start(first, second);
}

void Run::find_epochs() {
  // Ranks of one node share a clock, so they share an epoch; the root keeps every node's.
  epoch_ns_ = now_ns();
  broadcast_value(session_.node(), epoch_ns_);
  std::vector<std::byte> row(sizeof epoch_ns_);
  std::memcpy(row.data(), &epoch_ns_, sizeof epoch_ns_);
  const auto rows = gather_rows(session_, row);
  if (session_.world().rank() != 0) return;
  node_epochs_.assign(static_cast<std::size_t>(session_.nodes()), 0);
  for (std::size_t r = 0; r < layout_.ranks.size(); ++r)
    std::memcpy(&node_epochs_[static_cast<std::size_t>(layout_.ranks[r].node)],
                rows.data() + r * sizeof epoch_ns_, sizeof epoch_ns_);
}

int Run::measure() {
  const RankPlace& place = layout_.ranks[static_cast<std::size_t>(session_.world().rank())];
  Worker worker(session_, plan_, layout_,
                {.epoch_ns = epoch_ns_,
                 .node = place.node,
                 .local_rank = place.local_rank,
                 .seed = static_cast<std::uint64_t>(config_.run.seed),
                 .host = place.host},
                *watchdog_, probes_);
  if (session_.world().rank() != 0) return follow(session_, plan_, worker);
  Progress progress(line_.quiet, plan_.budget_s);
  Director director({.session = session_,
                     .plan = plan_,
                     .layout = layout_,
                     .worker = worker,
                     .file = *file_,
                     .progress = progress,
                     .ending = ending_,
                     .seed = static_cast<std::uint64_t>(config_.run.seed),
                     .launch = resume_.launch,
                     .first_case_id = resume_.first_case_id,
                     .started_ns = now_ns(),
                     .node_epochs = node_epochs_,
                     .clock = clock_});
  try {
    const std::vector<CaseOutcome> outcomes = director.run();
    progress.clear();
    return finish(director, outcomes);
  } catch (const std::exception& e) {
    progress.clear();
    std::fprintf(stderr, "dlscale: %s\n", e.what());
    const auto* known = dynamic_cast<const Error*>(&e);
    const int code = static_cast<int>(known != nullptr ? known->exit_code() : ExitCode::case_failed);
    if (file_->broken()) {  // it is written between commands, and for the next one all ranks wait
      ending_.watch(nullptr);
      director.end(code);
      return code;
    }
    // The other ranks wait for this one elsewhere: the launcher ends them when it leaves.
    ending_.on_fatal(0, e.what());
    _exit(code);
  }
}

int Run::finish(Director& director, const std::vector<CaseOutcome>& outcomes) {
  bool failed = resume_.earlier_failures, missed = resume_.earlier_misses;
  for (const CaseOutcome& o : outcomes) {
    failed = failed || o.status == CaseStatus::failed;
    missed = missed || !o.missed.empty();
  }
  watchdog_->working("closing the output", -1, 0);
  file_->close(failed ? "failed" : "completed");
  ending_.watch(nullptr);
  RunSummary summary{.plan = plan_,
                     .layout = layout_,
                     .outcomes = outcomes,
                     .warnings = verdict_.warnings,
                     .oversubscribed = verdict_.oversubscribed,
                     .file = file_->path(),
                     .elapsed_s = seconds_since(started_ns_),
                     .harness_s = harness_seconds(plan_, outcomes, director.repeats(), clock_)};
  if (line_.selftest) failed = !delayed_rank_named(summary) || failed;
  const ExitCode code = failed   ? ExitCode::case_failed
                        : missed ? ExitCode::requirement_missed
                                 : ExitCode::success;
  summary.exit_code = static_cast<int>(code);
  std::fputs(
      (render_table(summary) + "\n" + render_ten_lines(summary) + "\n" + render_foms(summary)).c_str(),
      stdout);
  std::fflush(stdout);
  director.end(summary.exit_code);
  return summary.exit_code;
}

int run_job(const CommandLine& line, Ending& ending) {
  bool broken = false;
  int code = 0;
  {
    Run run(line, ending);
    code = run.execute();
    broken = run.output_is_broken();
  }
  if (broken) _exit(code);  // past every exit handler: HDF5 must not be called any more
  return code;
}

}  // namespace dlscale
