// SPDX-License-Identifier: BSD-3-Clause
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace dlscale {
namespace {

// Optimal string alignment distance: insert, delete, replace, swap neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  // Long nonsense is near nothing; it must not cost quadratic time either.
  if (word.empty() || word.size() > 100) return std::nullopt;
  const std::string wanted = lower(word);
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(wanted, lower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string suggest(std::string_view word, std::span<const std::string> candidates) {
  if (const auto near = nearest(word, candidates)) return "did you mean '" + *near + "'?";
  std::string list;
  for (const std::string& candidate : candidates)
    list.append(list.empty() ? "" : ", ").append(candidate);
  return "valid: " + list;
}

std::optional<double> parse_duration(std::string_view text) {
  text = trim(text);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string_view unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  constexpr std::array<std::pair<std::string_view, double>, 9> units = {{{"", 1.0},
                                                                         {"s", 1.0},
                                                                         {"ns", 1e-9},
                                                                         {"us", 1e-6},
                                                                         {"ms", 1e-3},
                                                                         {"m", 60.0},
                                                                         {"min", 60.0},
                                                                         {"h", 3600.0},
                                                                         {"d", 86400.0}}};
  for (const auto& [name, factor] : units)
    if (unit == name && std::isfinite(number * factor)) return number * factor;
  return std::nullopt;
}

std::string format_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "n/a";
  const double size = std::fabs(seconds);
  if (size == 0) return "0 s";
  if (size < 0.9995e-6) return fmt::format("{:.3g} ns", seconds * 1e9);
  if (size < 0.9995e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (size < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (size < 99.95) return fmt::format("{:.3g} s", seconds);
  if (size < 3600) {
    const auto whole = static_cast<long long>(std::llround(seconds));
    return whole % 60 == 0 ? fmt::format("{} min", whole / 60)
                           : fmt::format("{} min {} s", whole / 60, std::llabs(whole % 60));
  }
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string format_si(double value, std::string_view unit) {
  if (!std::isfinite(value)) return "n/a";
  constexpr std::array<const char*, 7> prefixes = {"", "k", "M", "G", "T", "P", "E"};
  double scaled = value;
  std::size_t index = 0;
  while (std::fabs(scaled) >= 999.5 && index + 1 < prefixes.size()) {
    scaled /= 1000;
    ++index;
  }
  return fmt::format("{:.3g} {}{}", scaled, prefixes[index], unit);
}

std::string format_bytes(double bytes) {
  if (!std::isfinite(bytes)) return "n/a";
  constexpr std::array<const char*, 7> units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double scaled = bytes;
  std::size_t index = 0;
  while (std::fabs(scaled) >= 1023.5 && index + 1 < units.size()) {
    scaled /= 1024;
    ++index;
  }
  return index == 0 ? fmt::format("{:.0f} B", scaled) : fmt::format("{:.3g} {}", scaled, units[index]);
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(trim(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool matches_pattern(std::string_view text, std::string_view pattern) {
  // Iterative with one backtrack point: linear in practice, no recursion on hostile patterns.
  std::size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++t;
      ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace dlscale
