// SPDX-License-Identifier: BSD-3-Clause
// One [[case]] of a job file: settings, zip, list, require.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "config/case_request.hpp"
#include "config/options.hpp"
#include "config/toml_tools.hpp"

namespace dlscale {
namespace {

std::vector<std::string> zip_group(const toml::array& names, const TomlItem& item) {
  std::vector<std::string> group;
  for (const toml::node& name : names) {
    const auto* text = name.as_string();
    if (!text)
      refuse(item.place, "key 'zip' of [[case]] can't mix names and other values",
             "it takes names of keys", R"(write zip = ["m", "n"] or zip = [["m", "n"], ["a", "b"]])");
    group.push_back(text->get());
  }
  return group;
}

// zip = ["m","n"] is one group, zip = [["m","n"],["a","b"]] several.
std::vector<std::vector<std::string>> zip_groups(const TomlItem& item) {
  const auto* array = item.node->as_array();
  if (!array || array->empty())
    refuse(item.place, "key 'zip' of [[case]] needs an array of names of keys", {},
           R"(write zip = ["m", "n"] or zip = [["m", "n"], ["a", "b"]])");
  if (!(*array)[0].is_array()) return {zip_group(*array, item)};
  std::vector<std::vector<std::string>> groups;
  for (const toml::node& node : *array) {
    const auto* group = node.as_array();
    groups.push_back(zip_group(group ? *group : *array, item));
  }
  return groups;
}

// list = [ {m = 1, n = 2}, … ]: the rows themselves, as the resolved job has them.
void read_inline_rows(const toml::array& rows, const TomlItem& item, CaseRequest& request) {
  for (const toml::node& node : rows) {
    const auto* row = node.as_table();
    const Place place{item.place.source, static_cast<int>(node.source().begin.line)};
    if (!row)
      refuse(place, "key 'list' of [[case]] needs a file name or an array of tables", {},
             R"(write list = "lists/x.csv" or list = [{m = 1, n = 2}])");
    Params params;
    for (const TomlItem& cell : in_written_order(*row, item.place.source)) {
      const auto values = values_of(cell, "'list'");
      if (values.size() != 1)
        refuse(cell.place, fmt::format("key '{}' of 'list' has several values", cell.key));
      params.set(cell.key, values.front());
    }
    request.rows.push_back(std::move(params));
    request.row_places.push_back(place);
  }
}

void read_list(const TomlItem& item, const std::string& lists_dir, CaseRequest& request) {
  const auto* array = item.node->as_array();
  if (array && !array->empty()) return read_inline_rows(*array, item, request);
  const auto* name = item.node->as_string();
  if (!name || trim(name->get()).empty())
    refuse(item.place, "key 'list' of [[case]] needs the name of a CSV file", {},
           R"(write list = "lists/x.csv")");
  request.list_file = name->get();
  read_list_file(lists_dir, item.place, request);
}

std::string workload_of(const TomlItem& item) {
  const auto* name = item.node->as_string();
  if (!name || trim(name->get()).empty())
    refuse(item.place, "key 'workload' of [[case]] must be one name", "it is a string such as \"gemm\"",
           "see --list; write one [[case]] per workload");
  return name->get();
}

}  // namespace

std::map<std::string, double> requirements_from(const TomlItem& item) {
  const auto* table = item.node->as_table();
  if (!table)
    refuse(item.place, "key 'require' of [[case]] needs a table", {},
           "write require = { min_rate = 0.9 }");
  std::map<std::string, double> require;
  for (const TomlItem& entry : in_written_order(*table, item.place.source)) {
    const auto value = scalar_of(*entry.node);
    if (!value)
      refuse(entry.place,
             fmt::format("key '{}' of 'require' can't hold {}", one_line(entry.key),
                         node_name(*entry.node)),
             "it takes one number");
    require[entry.key] = checked_requirement(entry.key, *value, entry.place);
  }
  return require;
}

CaseRequest case_from_table(const toml::table& table, const Place& place, const std::string& lists_dir) {
  CaseRequest request;
  request.place = place;
  bool named = false;
  for (const TomlItem& item : in_written_order(table, place.source)) {
    if (item.key == "workload") {
      request.workload = workload_of(item);
      named = true;
    } else if (item.key == "zip") {
      request.zip = zip_groups(item);
    } else if (item.key == "list") {
      read_list(item, lists_dir, request);
    } else if (item.key == "require") {
      request.require = requirements_from(item);
    } else {
      request.settings.push_back({item.key, values_of(item, "[[case]]"), item.place});
    }
  }
  if (!named)
    refuse(place, "[[case]] has no key 'workload'", {}, "name one of --list, as in workload = \"gemm\"");
  check_case_request(request);
  return request;
}

}  // namespace dlscale
