// SPDX-License-Identifier: BSD-3-Clause
/// The keys of [run] and [sampling] as one table: read, written, explained and suggested from the same
/// rows.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/checked_value.hpp"

namespace dlscale {

struct Option {
  std::string_view section, name, help;
  bool takes_text;  ///< a bare word of the command line stays text, whatever it looks like
  void (*set)(Config&, const Scalar&, const KeyPlace&);
  Scalar (*get)(const Config&);
};

std::span<const Option> options();

/// Sets section.key; unknown keys are refused with the nearest valid one.
void set_option(Config& config, std::string_view section, std::string_view key, const Scalar& value,
                const Place& place);

/// nullptr when there is none.
const Option* find_option(std::string_view section, std::string_view key);

/// Refuses values that contradict each other.
void check_options(const Config& config, const Place& place);

/// min_time and max_time together; used for [sampling] and for every case.
void check_times(const SamplingOptions& sampling, const Place& place, std::string_view owner);

/// Names in `require`, with what they take.
struct Requirement {
  std::string_view name, help;
  double max;
};
std::span<const Requirement> requirements();

/// An option of the command line as --help and the manual page tell it.
struct CommandOption {
  std::string names;  ///< "-o,--output"; "JOB" for what has no dashes
  std::string value;  ///< "FILE"; empty for a flag
  std::string help;   ///< one line
};
std::vector<CommandOption> command_options();

/// --man: the manual page in man(7)'s format, ASCII, made from the options, keys and exit codes that the
/// program itself knows.
std::string manual_page();

inline constexpr std::string_view program_summary =
    "dlscale measures deep learning's building blocks and their scaling, on every rank.";

struct Example {
  std::string_view command, meaning;
};
std::span<const Example> examples();

/// Keys of a [[case]] that are no keys of the workload.
const std::vector<std::string>& case_words();

}  // namespace dlscale
