// SPDX-License-Identifier: BSD-3-Clause
// A job file's text → Config.
#include <fmt/format.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/options.hpp"
#include "config/toml_tools.hpp"

namespace dlscale {
namespace {

void read_section(const toml::table& table, const TomlItem& section, Config& config) {
  const std::string owner = fmt::format("[{}]", section.key);
  for (const TomlItem& item : in_written_order(table, section.place.source)) {
    if (find_option(section.key, item.key) && !scalar_of(*item.node))
      refuse(item.place,
             fmt::format("key '{}' of {} can't hold {}", item.key, owner, node_name(*item.node)),
             "it takes one value");
    set_option(config, section.key, item.key, scalar_of(*item.node).value_or(false), item.place);
  }
}

void read_cases(const TomlItem& item, const std::string& lists_dir, Config& config) {
  const auto* array = item.node->as_array();
  if (!array || array->empty())
    refuse(item.place, "'case' must be written as [[case]]", "one per workload");
  for (const toml::node& node : *array) {
    const Place place{item.place.source, static_cast<int>(node.source().begin.line)};
    const auto* table = node.as_table();
    if (!table) refuse(place, "'case' must be written as [[case]]", "one per workload");
    config.cases.push_back(case_from_table(*table, place, lists_dir));
  }
}

}  // namespace

Config parse_job(const std::string& text, const std::string& source_name, const std::string& lists_dir) {
  if (!is_utf8(text)) refuse({source_name, 0}, "the job is not UTF-8 text");
  const toml::table job = parse_toml(text, source_name);
  Config config;
  config.job_name = source_name;
  config.job_text = text;
  const std::string stem = std::filesystem::path(source_name).stem().string();
  if (source_name != quick_job_name && !stem.empty()) config.run.name = one_line(stem);
  static const std::vector<std::string> sections = {"run", "sampling", "case"};
  for (const TomlItem& item : in_written_order(job, source_name)) {
    if (item.key == "case") {
      read_cases(item, lists_dir, config);
    } else if (item.key == "run" || item.key == "sampling") {
      const auto* table = item.node->as_table();
      if (!table)
        refuse(item.place, fmt::format("'{}' can't hold {}", item.key, node_name(*item.node)),
               fmt::format("it is a section: write [{}]", item.key));
      read_section(*table, item, config);
    } else {
      refuse(item.place, fmt::format("unknown section or key '{}'", one_line(item.key)), {},
             suggest(item.key, sections));
    }
  }
  check_options(config, {source_name, 0});
  return config;
}

}  // namespace dlscale
