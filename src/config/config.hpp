// SPDX-License-Identifier: BSD-3-Clause
/// What was asked: command line and job file as one Config. Knows nothing of plans, MPI or workloads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/params.hpp"

namespace dlscale {

/// Where a value was written, for messages: "job.toml:12" or "--set sampling.blocks".
struct Place {
  std::string source;  ///< file name as the user gave it, or the command line option
  int line = 0;        ///< 1-based; 0 = command line
  std::string text() const;
  bool operator==(const Place&) const = default;
};

/// One key of a [[case]] with the one or more values written for it.
struct Setting {
  std::string key;
  std::vector<Scalar> values;
  Place place;
  bool operator==(const Setting&) const = default;
};

/// One [[case]] or --case before expansion. Keys are checked against the workload by the plan.
struct CaseRequest {
  std::string workload;
  std::vector<Setting> settings;              ///< arrays multiply, except zipped keys
  std::vector<std::vector<std::string>> zip;  ///< groups of keys whose arrays advance together
  /// Rows of the `list` file: every row is one combination; columns are keys, `label` included.
  std::vector<Params> rows;
  std::vector<Place> row_places;          ///< one per row
  std::string list_file;                  ///< as written; empty = no list
  std::map<std::string, double> require;  ///< e.g. min_rate: performance asked for
  Place place;
  bool operator==(const CaseRequest&) const = default;
};

/// [run]
struct RunOptions {
  std::string name = "quick";
  std::int64_t seed = 42;
  double time_budget_s = 60;       ///< total, start-up excluded; 0 = no limit
  bool budget_from_slurm = false;  ///< "slurm": what remains of the job's time limit when the run starts
  std::string device = "auto";     ///< auto | cpu | cuda
  std::int64_t threads = 0;        ///< per rank; 0 = the cores of this rank's share of its node
  double watchdog_s = 60;          ///< patience beyond the planned time before absent ranks are named
  bool operator==(const RunOptions&) const = default;
};

/// [sampling]; a case may override all but interleave and confidence.
struct SamplingOptions {
  std::int64_t blocks = 6;  ///< at least 6 for an interval
  bool interleave = true;   ///< blocks of different cases alternate
  double interval = 0.02;   ///< relative half-width at which a case may stop
  double confidence = 0.95;
  double warmup_s = 0;    ///< least warm-up time; 0 = detected
  double min_time_s = 0;  ///< hold the case at least this long (measured blocks)
  double max_time_s = 0;  ///< 0 = the case's share of the budget
  bool operator==(const SamplingOptions&) const = default;
};

struct Config {
  RunOptions run;
  SamplingOptions sampling;
  std::vector<CaseRequest> cases;

  std::string job_name;  ///< file name, or "quick (built in)"
  std::string job_text;  ///< the job file verbatim, kept in /input/job
  bool operator==(const Config&) const = default;
};

/// Everything of the command line that is not part of the job.
struct CommandLine {
  std::string job;                    ///< empty = built-in quick
  std::string output;                 ///< -o; empty = run-<job id or UTC time>.h5
  std::string resume;                 ///< --resume FILE
  std::string recover;                ///< --recover FILE
  std::vector<std::string> sets;      ///< key=value
  std::vector<std::string> only;      ///< patterns on the case's name
  std::vector<std::string> cases;     ///< --case texts
  std::vector<std::string> allow;     ///< mis-launch kinds
  std::optional<std::string> device;  ///< --device
  std::optional<std::int64_t> threads;
  std::int64_t ranks = 0;  ///< --ranks, with --plan
  bool plan = false, list = false, dump_default = false, selftest = false, quiet = false;
  bool help = false, version = false;
  std::string help_text;          ///< filled when help
  std::vector<std::string> argv;  ///< verbatim, kept in /input/command_line
};

/// `argv[0]` is the program. Throws Error(bad_input) with one sentence. Pure: touches no file.
CommandLine parse_command_line(const std::vector<std::string>& argv);

/// Job file (found as given, with ".toml" added, or in `jobs_dir`) + --set/--case/--device/--threads →
/// Config. Reads the job and the list files it names; throws Error(bad_input) naming file, line, key and
/// nearest valid key.
Config load_config(const CommandLine& line, const std::string& jobs_dir);

/// The same from a text, for tests and for the built-in job. `lists_dir` resolves list = "…".
Config parse_job(const std::string& text, const std::string& source_name, const std::string& lists_dir);

/// The built-in default job (jobs/quick.toml, compiled in).
const std::string& quick_job_text();

/// --dump-default: a job file with every key of [run] and [sampling], its default and its meaning.
std::string dump_default();

/// All values, defaults included, as TOML that parse_job accepts: kept in /input/resolved.
std::string resolved_text(const Config& config);

/// JSON for the broadcast from rank 0: config_from_json(to_json(c)) equals c.
std::string config_to_json(const Config& config);
Config config_from_json(const std::string& text);

}  // namespace dlscale
