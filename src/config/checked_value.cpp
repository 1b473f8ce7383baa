// SPDX-License-Identifier: BSD-3-Clause
#include "config/checked_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dlscale {

std::string Place::text() const {
  return line > 0 ? fmt::format("{}:{}", source, line) : source;
}

void refuse(const Place& place, std::string_view problem, std::string_view why,
            std::string_view remedy) {
  throw Error(ExitCode::bad_input, fmt::format("{}: {}", place.text(), problem), why, remedy);
}

std::string one_line(std::string_view whole) {
  constexpr std::size_t longest = 60;
  std::string text(whole);
  if (text.size() > longest) {
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;  // not inside a character
    text.resize(end);
    text += "…";
  }
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return text;
}

std::string shown(const Scalar& value) {
  const std::string text = one_line(to_text(value));
  return std::holds_alternative<std::string>(value) ? '"' + text + '"' : text;
}

void refuse_value(const KeyPlace& where, const Scalar& value, std::string_view takes) {
  const bool is_string = std::holds_alternative<std::string>(value);
  refuse(where.place,
         fmt::format("key '{}' of {} can't be {}{}", where.key, where.owner,
                     is_string ? "the string " : "", shown(value)),
         fmt::format("it takes {}", takes));
}

void refuse_key(const KeyPlace& where, std::span<const std::string> valid) {
  refuse(where.place, fmt::format("unknown key '{}' of {}", one_line(where.key), where.owner), {},
         suggest(where.key, valid));
}

std::int64_t checked_integer(const Scalar& value, const KeyPlace& where, std::int64_t min,
                             std::int64_t max) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (!number || *number < min || *number > max)
    refuse_value(where, value, fmt::format("an integer from {} to {}", min, max));
  return *number;
}

double checked_number(const Scalar& value, const KeyPlace& where, double min, double max) {
  double number = std::nan("");
  if (const auto* i = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) number = *d;
  if (!(number >= min && number <= max) || !std::isfinite(number))
    refuse_value(where, value,
                 std::isinf(max) ? std::isinf(min) ? std::string("a finite number")
                                                   : fmt::format("a finite number from {}", min)
                                 : fmt::format("a number from {} to {}", min, max));
  return number;
}

bool checked_boolean(const Scalar& value, const KeyPlace& where) {
  const auto* flag = std::get_if<bool>(&value);
  if (!flag) refuse_value(where, value, "true or false");
  return *flag;
}

std::string checked_text(const Scalar& value, const KeyPlace& where) {
  constexpr std::size_t longest = 200;
  const auto* text = std::get_if<std::string>(&value);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (!text || text->empty() || text->size() > longest ||
      std::any_of(text->begin(), text->end(), is_control))
    refuse_value(where, value, fmt::format("a string of one line, 1 to {} bytes", longest));
  return *text;
}

double checked_duration(const Scalar& value, const KeyPlace& where, double min_s, double max_s) {
  double seconds = std::nan("");
  if (const auto* i = std::get_if<std::int64_t>(&value)) seconds = static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) seconds = *d;
  if (const auto* text = std::get_if<std::string>(&value))
    seconds = parse_duration(*text).value_or(seconds);
  if (!(seconds >= min_s && seconds <= max_s))
    refuse_value(
        where, value,
        fmt::format("a duration such as \"90s\", \"10min\" or a number of seconds, from {} to {} s",
                    min_s, max_s));
  return seconds;
}

}  // namespace dlscale
