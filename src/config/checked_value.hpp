// SPDX-License-Identifier: BSD-3-Clause
/// Values of keys, checked with a sentence that names file, line, key and what the key takes. Used by
/// config and plan.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace dlscale {

/// Which key is read, of what ("[sampling]", "gemm"), and where it was written.
struct KeyPlace {
  std::string_view key;
  std::string_view owner;
  const Place& place;
};

/// Throws Error(bad_input): "job.toml:12: problem (why) remedy".
[[noreturn]] void refuse(const Place& place, std::string_view problem, std::string_view why = {},
                         std::string_view remedy = {});

/// Throws Error(bad_input): "job.toml:12: key 'blocks' of [sampling] can't be -3 (it takes …)".
[[noreturn]] void refuse_value(const KeyPlace& where, const Scalar& value, std::string_view takes);

/// Throws Error(bad_input): "job.toml:12: unknown key 'blcks' of [sampling]; did you mean 'blocks'?".
[[noreturn]] void refuse_key(const KeyPlace& where, std::span<const std::string> valid);

/// Text as messages show it: control characters blanked, long texts cut.
std::string one_line(std::string_view text);

/// A value as messages show it: strings in quotes, long ones cut.
std::string shown(const Scalar& value);

/// Bounds are inclusive. Integers are widened for numbers; a number is never cut to an integer; NaN and
/// inf are refused.
std::int64_t checked_integer(const Scalar& value, const KeyPlace& where, std::int64_t min,
                             std::int64_t max);
double checked_number(const Scalar& value, const KeyPlace& where, double min, double max);
bool checked_boolean(const Scalar& value, const KeyPlace& where);
/// One line of 1 to 200 characters.
std::string checked_text(const Scalar& value, const KeyPlace& where);
/// Seconds from "90s", "10min" or a number of seconds; at most `max_s`.
double checked_duration(const Scalar& value, const KeyPlace& where, double min_s = 0,
                        double max_s = 1e8);

/// job_name of the built-in job.
constexpr const char* quick_job_name = "quick (built in)";

constexpr std::int64_t max_threads = 4096;  ///< per rank: beyond any node, so a slip of the pen
constexpr std::int64_t max_blocks = 10000;

/// A word of the command line or a cell of a CSV file as a typed value: true, 42, 1.5, else a string.
Scalar bare_value(std::string_view word);

/// The same value as a word that bare_value() or, in double quotes, parse_case_text() reads back.
std::string bare_text(const Scalar& value);

/// The value as TOML writes it.
std::string toml_text(const Scalar& value);

/// True for well-formed UTF-8: what TOML, JSON and the file can hold.
bool is_utf8(std::string_view text);

}  // namespace dlscale
