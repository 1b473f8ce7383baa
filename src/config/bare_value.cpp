// SPDX-License-Identifier: BSD-3-Clause
// Values outside TOML files (command line, CSV) and how values are written back.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "config/checked_value.hpp"

namespace dlscale {
namespace {

template <class Number>
bool reads_whole(std::string_view word, Number& number) {
  if (!word.empty() && word.front() == '+') word.remove_prefix(1);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

// from_chars also reads "inf" and "nan", which are words here.
bool starts_like_a_number(std::string_view word) {
  if (!word.empty() && (word.front() == '+' || word.front() == '-')) word.remove_prefix(1);
  if (!word.empty() && word.front() == '.') word.remove_prefix(1);
  return !word.empty() && word.front() >= '0' && word.front() <= '9';
}

std::string toml_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      result.append({'\\', c});
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      result += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    else
      result += c;
  }
  return result + '"';
}

// Bytes of the UTF-8 sequence that `lead` begins; 0 if it begins none.
int sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

}  // namespace

Scalar bare_value(std::string_view word) {
  if (word == "true") return true;
  if (word == "false") return false;
  if (starts_like_a_number(word)) {
    std::int64_t integer = 0;
    if (reads_whole(word, integer)) return integer;
    double number = 0;
    if (reads_whole(word, number) && std::isfinite(number)) return number;
  }
  return std::string(word);
}

std::string bare_text(const Scalar& value) {
  const std::string text = to_text(value);
  if (!std::holds_alternative<std::string>(value)) return text;
  const bool plain = !text.empty() && text.find_first_of(" \t\r\n,\"'\\=") == std::string::npos;
  return plain && bare_value(text) == value ? text : toml_quoted(text);
}

std::string toml_text(const Scalar& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return toml_quoted(*text);
  return to_text(value);
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const auto length = static_cast<std::size_t>(sequence_length(lead));
    if (length == 0 || length > text.size() - i) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    if (length > 2) {  // overlong forms, surrogates and beyond U+10FFFF
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
        return false;
    }
    i += length;
  }
  return true;
}

}  // namespace dlscale
