// SPDX-License-Identifier: BSD-3-Clause
#include "config/toml_tools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dlscale {

std::vector<TomlItem> in_written_order(const toml::table& table, const std::string& source) {
  std::vector<std::tuple<toml::source_position, TomlItem>> items;
  for (auto&& [key, node] : table) {
    // A key made by a header such as [case.require] has its place at the header.
    const toml::source_position at = key.source().begin;
    items.emplace_back(at, TomlItem{std::string(key.str()), &node, {source, static_cast<int>(at.line)}});
  }
  std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    const auto& x = std::get<0>(a);
    const auto& y = std::get<0>(b);
    return std::tie(x.line, x.column) < std::tie(y.line, y.column);
  });
  std::vector<TomlItem> result;
  for (auto& item : items) result.push_back(std::move(std::get<1>(item)));
  return result;
}

namespace {

// Line `number` of a text, from 1.
std::string_view line_of(std::string_view text, int number) {
  for (; number > 1 && text.find('\n') != std::string_view::npos; --number)
    text.remove_prefix(text.find('\n') + 1);
  return trim(text.substr(0, text.find('\n')));
}

}  // namespace

toml::table parse_toml(const std::string& text, const std::string& source) {
  try {
    return toml::parse(std::string_view(text), std::string_view(source));
  } catch (const toml::parse_error& e) {
    const auto line = static_cast<int>(e.source().begin.line);
    refuse({source, line}, e.description(),
           fmt::format("the line reads: {}", one_line(line_of(text, line))), "correct the job's TOML");
  }
}

std::optional<Scalar> scalar_of(const toml::node& node) {
  if (const auto* b = node.as_boolean()) return Scalar(b->get());
  if (const auto* i = node.as_integer()) return Scalar(static_cast<std::int64_t>(i->get()));
  if (const auto* d = node.as_floating_point()) return Scalar(d->get());
  if (const auto* s = node.as_string()) return Scalar(s->get());
  return std::nullopt;
}

std::string_view node_name(const toml::node& node) {
  if (node.is_array()) return "an array";
  if (node.is_table()) return "a table";
  return scalar_of(node) ? "a single value" : "a date or time";
}

namespace {

Scalar value_of(const toml::node& node, const TomlItem& item, std::string_view owner) {
  const auto value = scalar_of(node);
  if (!value)
    refuse(item.place,
           fmt::format("key '{}' of {} can't hold {}", one_line(item.key), owner, node_name(node)),
           "it takes booleans, integers, numbers or strings");
  if (const auto* d = std::get_if<double>(&*value); d && !std::isfinite(*d))
    refuse_value({item.key, owner, item.place}, *value, "finite numbers");
  return *value;
}

}  // namespace

std::vector<Scalar> values_of(const TomlItem& item, std::string_view owner) {
  const auto* array = item.node->as_array();
  if (!array) return {value_of(*item.node, item, owner)};
  if (array->empty())
    refuse(item.place, fmt::format("key '{}' of {} is an empty array", one_line(item.key), owner),
           "arrays multiply, so nothing would be left", "give at least one value, or leave the key out");
  std::vector<Scalar> values;
  for (const toml::node& element : *array) values.push_back(value_of(element, item, owner));
  return values;
}

}  // namespace dlscale
