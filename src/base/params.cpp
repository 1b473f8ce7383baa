// SPDX-License-Identifier: BSD-3-Clause
#include "base/params.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace dlscale {

std::string to_text(const Scalar& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&value)) {
    std::string text = fmt::format("{}", *d);  // shortest text that reads back to the same double
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  return std::get<std::string>(value);
}

std::string_view kind_name(const Scalar& value) {
  constexpr std::string_view names[] = {"boolean", "integer", "number", "string"};
  return names[value.index()];
}

void Params::set(std::string_view key, Scalar value) {
  for (auto& [name, old] : items_)
    if (name == key) {
      old = std::move(value);
      return;
    }
  items_.emplace_back(std::string(key), std::move(value));
}

bool Params::has(std::string_view key) const {
  for (const auto& item : items_)
    if (item.first == key) return true;
  return false;
}

const Scalar& Params::at(std::string_view key) const {
  for (const auto& [name, value] : items_)
    if (name == key) return value;
  throw std::out_of_range(fmt::format("no parameter '{}'", key));
}

std::int64_t Params::integer(std::string_view key) const {
  return std::get<std::int64_t>(at(key));
}

double Params::number(std::string_view key) const {
  const Scalar& value = at(key);
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  return std::get<double>(value);
}

bool Params::boolean(std::string_view key) const {
  return std::get<bool>(at(key));
}

const std::string& Params::text(std::string_view key) const {
  return std::get<std::string>(at(key));
}

}  // namespace dlscale
