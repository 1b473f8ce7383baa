// SPDX-License-Identifier: BSD-3-Clause
// Only the syntax of the options is CLI11's; values and contradictions are checked here, with our
// sentences.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <limits>

#include "base/error.hpp"
#include "base/exit_codes.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

constexpr std::int64_t max_ranks = 10'000'000;

/// What CLI11 fills: texts, so that wrong values get our messages.
struct Raw {
  CommandLine line;
  std::string device, threads, ranks;
  std::vector<std::string> allow;
  bool man = false;
};

constexpr std::array<Example, 3> example_table = {
    {{"mpirun -np 8 dlscale", "the default job"},
     {"dlscale gemm-rates --plan --ranks 1024", "what a job would do"},
     {"mpirun -np 8 dlscale --case 'gemm m=4096 n=4096 k=4096'", "one case alone"}}};

// Help texts in lines of at most 48 columns, so that --help fits a terminal of 80.
std::string wrapped(std::string_view text, std::size_t width = 48) {
  std::string result;
  std::size_t column = 0;
  for (const std::string& word : split(text, ' ')) {
    const bool fits = column + 1 + word.size() <= width;
    if (column > 0) result += fits ? ' ' : '\n';
    column = column > 0 && fits ? column + 1 + word.size() : word.size();
    result += word;
  }
  return result;
}

void add_value_options(CLI::App& app, Raw& raw) {
  const auto text = [&](const char* name, std::string& target, const char* type, const char* help) {
    app.add_option(name, target, wrapped(help))->type_name(type);
  };
  const auto texts = [&](const char* name, std::vector<std::string>& target, const char* type,
                         const char* help) {
    app.add_option(name, target, wrapped(help))
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false)
        ->take_all();
  };
  text("JOB", raw.line.job, "TEXT",
       "The job file that says what to measure; also found by its name alone in the "
       "program's folder of jobs. Without it, a useful default runs.");
  text("-o,--output", raw.line.output, "FILE",
       "The HDF5 file to create; an existing file is never overwritten. The "
       "default is run-<job id or UTC time>.h5.");
  text("--device", raw.device, "auto|cpu|cuda", "The device that per-rank work runs on.");
  text("--threads", raw.threads, "N",
       "Threads per rank; 0 takes the cores of the rank's share of its node.");
  texts("--set", raw.line.sets, "KEY=VALUE",
        "Overrides one value of the job, as in run.seed=7, sampling.blocks=8, "
        "gemm.m=512 (all gemm cases) or case.threads=1 (all cases). Repeatable.");
  texts("--only", raw.line.only, "PATTERN",
        "Keeps only the cases whose name or workload matches this shell pattern; "
        "noop and the roofs they need stay. Repeatable.");
  texts("--case", raw.line.cases, "CASE",
        "Adds a case, as in 'gemm m=4096 n=4096 k=1024,2048 dtype=f64'. Without a "
        "job, only such cases run. Repeatable.");
  text("--ranks", raw.ranks, "N", "Plans for this many ranks instead of the running ones; with --plan.");
  text("--resume", raw.line.resume, "FILE",
       "Goes on with the run kept in this file, with the job kept in it.");
  text("--recover", raw.line.recover, "FILE",
       "Makes a file readable that a killed run left open, and ends.");
  texts("--allow", raw.allow, "KIND,...",
        "Runs in spite of a mis-launch that is refused otherwise: singletons, "
        "shared-gpu, mixed-binaries.");
}

void add_flags(CLI::App& app, Raw& raw) {
  CommandLine& line = raw.line;
  const auto flag = [&](const char* name, bool& target, const char* help) {
    app.add_flag(name, target, wrapped(help))->disable_flag_override();
  };
  flag("--plan", line.plan,
       "Prints what would be measured, with its FLOP, bytes, memory and time, and ends.");
  flag("--list", line.list, "Lists the workloads of this build with their keys, and ends.");
  flag("--dump-default", line.dump_default,
       "Prints a job file with every key, its default and meaning, and ends.");
  flag("--selftest", line.selftest,
       "Runs the small examples of every workload with their checks, and ends.");
  flag("-q,--quiet", line.quiet, "Prints no progress; the final summary stays.");
  flag("-h,--help", line.help, "Prints this help, and ends.");
  flag("--man", raw.man, "Prints the manual page, and ends: dlscale --man | man -l -");
  flag("--version", line.version, "Prints version, build and libraries, and ends.");
}

// What stands under the options in --help.
std::string footer() {
  std::string codes = "Exit codes:";
  for (const ExitCodeText& text : exit_codes())
    codes += fmt::format("{} {} {}", text.code == "0" ? "" : ",", text.code, text.meaning);
  std::string text = wrapped(codes + ".", 80) + "\n\nExamples:\n";
  for (const Example& example : example_table)
    text += fmt::format("  {:<40}  {}\n", example.command, example.meaning);
  text.pop_back();
  return text;
}

void declare(CLI::App& app, Raw& raw) {
  app.set_help_flag();
  app.allow_extras();
  app.get_formatter()->column_width(30);
  app.get_formatter()->label("Positionals", "Job");
  add_value_options(app, raw);
  add_flags(app, raw);
  app.footer(footer());
}

[[noreturn]] void fail(std::string_view problem, std::string_view why = {},
                       std::string_view remedy = {}) {
  throw Error(ExitCode::bad_input, problem, why, remedy);
}

void refuse_extras(const CLI::App& app, const std::vector<std::string>& extras) {
  if (extras.empty()) return;
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  for (const std::string& extra : extras) {
    if (extra.empty() || extra.front() != '-') continue;
    const std::string option = extra.substr(0, extra.find('='));
    const auto near = nearest(option, names);
    fail(fmt::format("unknown option '{}'", one_line(option)), {},
         near ? fmt::format("did you mean '{}'?", *near) : "see --help");
  }
  fail(fmt::format("more than one job is named: '{}' is left over", one_line(extras.front())), {},
       "name one job file; options come with dashes (--help)");
}

std::int64_t whole_number(const std::string& text, std::string_view option, std::int64_t min,
                          std::int64_t max) {
  const Scalar value = bare_value(trim(text));
  const auto* number = std::get_if<std::int64_t>(&value);
  if (!number || *number < min || *number > max)
    fail(fmt::format("{} can't be '{}'", option, one_line(text)),
         fmt::format("it takes an integer from {} to {}", min, max));
  return *number;
}

void check_word(const std::string& word, std::string_view option,
                const std::vector<std::string>& valid) {
  if (std::find(valid.begin(), valid.end(), word) == valid.end())
    fail(fmt::format("{} can't be '{}'", option, one_line(word)), {}, suggest(word, valid));
}

void read_values(const CLI::App& app, Raw& raw) {
  CommandLine& line = raw.line;
  if (app.count("--device") > 0) {
    check_word(raw.device, "--device", {"auto", "cpu", "cuda"});
    line.device = raw.device;
  }
  if (app.count("--threads") > 0) line.threads = whole_number(raw.threads, "--threads", 0, max_threads);
  if (app.count("--ranks") > 0) line.ranks = whole_number(raw.ranks, "--ranks", 1, max_ranks);
  for (const std::string& kinds : raw.allow)
    for (const std::string& kind : split(kinds, ',')) {
      check_word(kind, "--allow", {"singletons", "shared-gpu", "mixed-binaries"});
      if (std::find(line.allow.begin(), line.allow.end(), kind) == line.allow.end())
        line.allow.push_back(kind);
    }
  for (const char* option : {"JOB", "--output", "--resume", "--recover", "--set", "--only", "--case"})
    for (const std::string& value : app.get_option(option)->results())
      if (trim(value).empty())
        fail(fmt::format("{} is empty", option), {}, "give it a value, or leave it out");
}

/// A task of its own: which other options make sense with it, and why no others.
struct Task {
  const char* option;
  std::vector<std::string> allowed;
  const char* why;
};

const std::vector<Task>& tasks() {
  static const std::vector<Task> all = {
      {"--resume",
       {"--quiet", "--allow", "JOB", "--set", "--case", "--device", "--threads"},
       "a resumed run goes on in its own file, with the job kept in it"},
      {"--recover", {"--quiet"}, "it repairs a file and runs nothing"},
      {"--list", {"--quiet"}, "it prints the workloads and runs nothing"},
      {"--dump-default", {"--quiet"}, "it prints the defaults and runs nothing"},
      {"--selftest",
       {"--quiet", "--allow", "--device", "--threads", "--only", "--set", "--output"},
       "it runs the workloads' own examples and no job"},
      {"--plan",
       {"JOB", "--quiet", "--allow", "--device", "--threads", "--only", "--set", "--case", "--ranks",
        "--output"},
       "it prints a plan and runs nothing"}};
  return all;
}

std::string shown_option(const std::string& name) {
  return name == "--output" ? "-o" : name == "JOB" ? "a job file" : name;
}

void check_contradictions(const CLI::App& app) {
  const std::vector<std::string> options = {
      "--resume", "--recover", "--list",    "--dump-default", "--selftest", "--plan", "JOB",
      "--output", "--device",  "--threads", "--set",          "--only",     "--case", "--allow"};
  if (app.count("--ranks") > 0 && app.count("--plan") == 0)
    fail("--ranks needs --plan", "a run has the ranks that it was started with",
         "add --plan, or start more ranks");
  for (const Task& task : tasks()) {
    if (app.count(task.option) == 0) continue;
    for (const std::string& other : options)
      if (app.count(other) > 0 && other != task.option &&
          std::find(task.allowed.begin(), task.allowed.end(), other) == task.allowed.end())
        fail(fmt::format("{} and {} exclude each other", task.option, shown_option(other)), task.why,
             "leave one of them out");
    return;
  }
}

void parse_with(CLI::App& app, const std::vector<std::string>& argv) {
  std::vector<std::string> reversed(argv.rbegin(), argv.rend());
  if (!reversed.empty()) reversed.pop_back();  // the program
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::Error& e) {
    for (const std::string& word : argv)  // CLI11's sentence on --plan=3 names no dashes
      if (const CLI::Option* option = app.get_option_no_throw(word.substr(0, word.find('=')));
          option && option->get_items_expected_max() == 0 && word.find('=') != std::string::npos)
        fail(fmt::format("'{}' takes no value", one_line(word)), {},
             fmt::format("write {}", option->get_name()));
    fail(fmt::format("the command line can't be read: {}", one_line(e.what())), {}, "see --help");
  }
}

}  // namespace

std::span<const Example> examples() {
  return example_table;
}

std::vector<CommandOption> command_options() {
  Raw raw;
  CLI::App app;
  declare(app, raw);
  std::vector<CommandOption> all;
  for (const CLI::Option* option : app.get_options()) {
    std::string help = option->get_description();
    std::replace(help.begin(), help.end(), '\n', ' ');
    const bool flag = option->get_items_expected_max() == 0;
    all.push_back({option->get_name(false, true), flag ? "" : option->get_type_name(), help});
  }
  return all;
}

CommandLine parse_command_line(const std::vector<std::string>& argv) {
  Raw raw;
  CLI::App app(wrapped(program_summary, 72), "dlscale");
  declare(app, raw);
  parse_with(app, argv);
  raw.line.argv = argv;
  if (raw.line.help || raw.man) raw.line.help_text = raw.line.help ? app.help() : manual_page();
  raw.line.help = raw.line.help || raw.man;
  if (raw.line.help || raw.line.version) return raw.line;
  refuse_extras(app, app.remaining());
  read_values(app, raw);
  check_contradictions(app);
  return raw.line;
}

}  // namespace dlscale
