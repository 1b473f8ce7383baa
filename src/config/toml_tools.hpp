// SPDX-License-Identifier: BSD-3-Clause
/// The one place that includes toml++ (3.3 and later), and the little we need of it. Internal to config.
#pragma once

// Same macros in every file that includes it; we only parse.
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>

#include <optional>
#include <string>
#include <vector>

#include "config/checked_value.hpp"

namespace dlscale {

/// One key of a table with the place where it was written.
struct TomlItem {
  std::string key;
  const toml::node* node;
  Place place;
};

/// The table's items in the order in which they were written (toml++ sorts them by name).
std::vector<TomlItem> in_written_order(const toml::table& table, const std::string& source);

/// Parses; a syntax error becomes Error(bad_input) with file:line and the parser's description.
toml::table parse_toml(const std::string& text, const std::string& source);

/// Nothing for arrays, tables, dates and times.
std::optional<Scalar> scalar_of(const toml::node& node);

/// "an array", "a table", "a date": for messages on what can't be a value.
std::string_view node_name(const toml::node& node);

/// One or more values of a key; empty and nested arrays, tables, dates and non-finite numbers are
/// refused.
std::vector<Scalar> values_of(const TomlItem& item, std::string_view owner);

/// [[case]] as one request. `lists_dir` resolves list = "…".
CaseRequest case_from_table(const toml::table& table, const Place& place, const std::string& lists_dir);

/// `require = { … }` of a case.
std::map<std::string, double> requirements_from(const TomlItem& item);

}  // namespace dlscale
