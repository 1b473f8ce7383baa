// SPDX-License-Identifier: BSD-3-Clause
// The manual page, from the tables that the program itself reads: man(7) macros, ASCII only.
#include <fmt/format.h>

#include <array>
#include <string>

#include "base/exit_codes.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

/// A name and what it is: variables and files, which no other table holds.
struct Term {
  std::string_view name, meaning;
};

constexpr std::array<Term, 6> variables = {
    {{"DLSCALE_LAUNCH_NS",
      "Nanoseconds since the epoch at which the launcher was started (date +%s%N); the run file then "
      "says "
      "how long the launch took. Read on rank 0; anything else than a time of the last day is ignored."},
     {"DLSCALE_PYTHON", "The Python interpreter of the analysis commands."},
     {"OMP_*, OPENBLAS_*, ONEDNN_* and others",
      "Read by the libraries. Those that change what is measured are kept in the run file, secrets "
      "excepted. Thread counts have no effect: every case sets its own."},
     {"SLURM_JOB_END_TIME", "The end of the job, for run.time_budget = \"slurm\"."},
     {"SLURM_JOB_ID", "Part of the default name of the run file."},
     {"TMPDIR",
      "Where the run is written first when the output is on a network file system; else /tmp."}}};

constexpr std::array<Term, 4> files = {
    {{"run-<job id or UTC time>.h5", "The run file, HDF5; docs/file-format.md describes it."},
     {"FILE.lock", "Beside the run file while it is being written: host and process of the writer."},
     {"../share/dlscale/jobs", "Job files found by name, relative to the folder of the program."},
     {"../share/dlscale/slurm", "Batch scripts."}}};

// A backslash, a dot or quote that begins a line, and what looks like a hyphen or quote but is code.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char ch : text) {
    if (out.empty() && (ch == '.' || ch == '\'')) out += "\\&";
    if (ch == '\\')
      out += "\\e";
    else if (ch == '-')
      out += "\\-";
    else if (ch == '\'')
      out += "\\(aq";
    else
      out += ch;
  }
  return out;
}

std::string term(std::string_view bold, std::string_view rest, std::string_view meaning) {
  const std::string after = rest.empty() ? "" : fmt::format(" \\fI{}\\fR", escaped(rest));
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", escaped(bold), after, escaped(meaning));
}

template <class Terms>
std::string terms(std::string_view title, const Terms& all) {
  std::string text = fmt::format(".SH {}\n", title);
  for (const auto& [name, meaning] : all) text += term(name, "", meaning);
  return text;
}

// "-o,--output" as "-o, --output".
std::string shown_names(const std::string& names) {
  std::string text;
  for (const std::string& name : split(names, ',')) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string options_section() {
  std::string text = ".SH OPTIONS\n";
  for (const CommandOption& option : command_options())
    text +=
        term(shown_names(option.names), option.names.front() == '-' ? option.value : "", option.help);
  return text;
}

std::string job_section() {
  std::string text =
      ".SH JOB FILES\n"
      "A job is a TOML file with the sections [run] and [sampling] and one [[case]] per workload. "
      "Arrays\n"
      "of a case multiply. The keys of workloads are listed by\n"
      ".BR \"dlscale \\-\\-list\" ;\n"
      "a job with every key and its default is printed by\n"
      ".BR \"dlscale \\-\\-dump\\-default\" .\n";
  const Config defaults;
  for (const Option& option : options())
    text += term(fmt::format("{}.{}", option.section, option.name),
                 "= " + toml_text(option.get(defaults)), option.help);
  text +=
      ".PP\nA case may ask for a performance, as in require = { min_rate = 0.9 }; missed, the run ends "
      "with exit code 3:\n";
  for (const Requirement& known : requirements()) text += term(known.name, "", known.help);
  return text;
}

std::string examples_section() {
  std::string text = ".SH EXAMPLES\n";
  for (const Example& example : examples())
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", escaped(example.command), escaped(example.meaning));
  return text;
}

}  // namespace

std::string manual_page() {
  std::string text =
      ".\\\" SPDX-License-Identifier: BSD-3-Clause\n.\\\" Made by dlscale --man; changes belong in the "
      "tables of src/config.\n";
  text += fmt::format(".TH DLSCALE 1 \"\" \"dlscale {}\" \"User Commands\"\n", DLSCALE_VERSION);
  text += ".SH NAME\ndlscale \\- deep\\-learning building blocks and their scaling, on every rank\n";
  text += ".SH SYNOPSIS\n.B dlscale\n[\\fIOPTION\\fR...] [\\fIJOB\\fR]\n";
  text += fmt::format(
      ".SH DESCRIPTION\n{}\nStarted by an MPI launcher on N ranks it measures what the job asks for, "
      "checks every result,\nprints a summary and writes one HDF5 file. After the summary, lines of the "
      "form\n.PP\n.RS\nFOM: name = value unit\n.RE\n.PP\non standard output are meant for other "
      "programs.\n",
      escaped(program_summary));
  text += options_section() + job_section() + terms("EXIT STATUS", exit_codes()) +
          ".PP\nThe first that applies: 128+n, 6, 5, 2, 4, 1, 3, 0. It is the same on all ranks; the "
          "launcher may change it.\n" +
          terms("ENVIRONMENT", variables) + terms("FILES", files) + examples_section();
  text += ".SH SEE ALSO\n.BR mpirun (1),\n.BR srun (1),\n.BR sbatch (1),\n.BR h5dump (1)\n";
  return text;
}

}  // namespace dlscale
