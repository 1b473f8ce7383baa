// SPDX-License-Identifier: BSD-3-Clause
// Command line + job file → Config.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/case_request.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

namespace fs = std::filesystem;

// Names of the jobs that come with the program, for "did you mean".
std::vector<std::string> job_names(const std::string& jobs_dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(jobs_dir, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".toml") names.push_back(entry->path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

fs::path find_job(const std::string& job, const std::string& jobs_dir) {
  std::vector<fs::path> places = {job, job + ".toml"};
  if (fs::path(job).is_relative() && !jobs_dir.empty()) {
    places.push_back(fs::path(jobs_dir) / job);
    places.push_back(fs::path(jobs_dir) / (job + ".toml"));
  }
  std::error_code error;
  // A folder of the same name (jobs "list" beside a folder "list") does not hide the file.
  for (const fs::path& place : places)
    if (fs::exists(place, error) && !fs::is_directory(place, error)) return place;
  const std::vector<std::string> names = job_names(jobs_dir);
  throw Error(ExitCode::bad_input, fmt::format("no job file '{}'", one_line(job)),
              jobs_dir.empty() ? std::string("looked here, also with .toml added")
                               : fmt::format("looked here and in {}, also with .toml added", jobs_dir),
              names.empty() ? std::string("give the path of a job file")
                            : suggest(fs::path(job).stem().string(), names));
}

Config base_config(const CommandLine& line, const std::string& jobs_dir) {
  if (!line.job.empty()) {
    const fs::path path = find_job(line.job, jobs_dir);
    return parse_job(read_text_file(path.string(), "job", {line.job, 0}), path.string(),
                     path.parent_path().string());
  }
  if (line.cases.empty()) return parse_job(quick_job_text(), quick_job_name, jobs_dir);
  Config config;
  config.run.name = "case";
  config.job_name = "command line";
  for (const std::string& text : line.cases)
    config.job_text += fmt::format("# --case '{}'\n", one_line(text));
  return config;
}

}  // namespace

Config load_config(const CommandLine& line, const std::string& jobs_dir) {
  Config config = base_config(line, jobs_dir);
  for (const std::string& text : line.cases) config.cases.push_back(parse_case_text(text));
  for (const std::string& text : line.sets) apply_set(config, text);
  if (line.device) set_option(config, "run", "device", *line.device, {"--device", 0});
  if (line.threads) set_option(config, "run", "threads", *line.threads, {"--threads", 0});
  for (const CaseRequest& request : config.cases) check_case_request(request);
  check_options(config, {config.job_name, 0});
  if (config.cases.empty())
    refuse({config.job_name, 0}, "the job has no [[case]]", "nothing would be measured",
           "add one (--list shows the workloads) or give --case");
  return config;
}

}  // namespace dlscale
