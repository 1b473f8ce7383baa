// SPDX-License-Identifier: BSD-3-Clause
/// Numbers and names as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dlscale {

/// The candidate with the smallest edit distance to `word`, if it is near enough to be a likely slip.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

/// "did you mean 'x'?" for a near candidate, else "valid: a, b, c".
std::string suggest(std::string_view word, std::span<const std::string> candidates);

/// Seconds from "90", "90s", "1.5min", "2h", "250ms", "10us"; nothing if it is not a duration or
/// negative.
std::optional<double> parse_duration(std::string_view text);

/// "1.23 ms", "45.6 s", "12 min 3 s". Non-finite values print as "n/a".
std::string format_seconds(double seconds);

/// Decimal SI prefix: format_si(54.3e9, "FLOP/s") is "54.3 GFLOP/s".
std::string format_si(double value, std::string_view unit);

/// Binary prefix for memory: "1.50 GiB".
std::string format_bytes(double bytes);

/// Parts of `text` between separators, surrounding blanks removed; empty parts are kept.
std::vector<std::string> split(std::string_view text, char separator);

std::string_view trim(std::string_view text);

/// Shell-style match with * and ?, used by --only.
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace dlscale
