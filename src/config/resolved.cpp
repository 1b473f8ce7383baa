// SPDX-License-Identifier: BSD-3-Clause
// Config → TOML: /input/resolved and --dump-default.
#include <fmt/format.h>

#include "config/checked_value.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

std::string key_text(const std::string& key) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  for (const char c : key)
    if (!is_bare(c)) return toml_text(key);
  return key.empty() ? "\"\"" : key;
}

template <class Range, class Function>
std::string joined(const Range& range, const Function& text) {
  std::string result;
  for (const auto& element : range) result.append(result.empty() ? "" : ", ").append(text(element));
  return result;
}

std::string section_text(const Config& config, std::string_view section, bool with_help) {
  std::string text = fmt::format("[{}]\n", section);
  for (const Option& option : options()) {
    if (option.section != section) continue;
    if (with_help) text += fmt::format("# {}\n", option.help);
    text += fmt::format("{} = {}\n", option.name, toml_text(option.get(config)));
  }
  return text;
}

std::string row_text(const Params& row) {
  const auto cell = [](const auto& item) {
    return fmt::format("{} = {}", key_text(item.first), toml_text(item.second));
  };
  return fmt::format("{{{}}}", joined(row.items(), cell));
}

std::string case_request_text(const CaseRequest& request) {
  std::string text = fmt::format("\n[[case]]\nworkload = {}\n", toml_text(request.workload));
  for (const Setting& setting : request.settings) {
    const std::string values =
        joined(setting.values, [](const Scalar& value) { return toml_text(value); });
    const bool one = setting.values.size() == 1;
    text += fmt::format("{} = {}{}{}\n", key_text(setting.key), one ? "" : "[", values, one ? "" : "]");
  }
  if (!request.zip.empty()) {
    const auto name = [](const std::string& key) { return toml_text(key); };
    const auto group = [&](const std::vector<std::string>& keys) {
      return fmt::format("[{}]", joined(keys, name));
    };
    text += fmt::format("zip = [{}]\n", joined(request.zip, group));
  }
  if (!request.rows.empty()) {
    if (!request.list_file.empty()) text += fmt::format("# from {}\n", one_line(request.list_file));
    text += "list = [\n";
    for (const Params& row : request.rows) text += fmt::format("  {},\n", row_text(row));
    text += "]\n";
  }
  const auto pair = [](const auto& item) {
    return fmt::format("{} = {}", item.first, toml_text(item.second));
  };
  if (!request.require.empty())
    text += fmt::format("require = {{ {} }}\n", joined(request.require, pair));
  return text;
}

}  // namespace

std::string dump_default() {
  const Config defaults;
  std::string text = "# Every key of [run] and [sampling] with its default.\n";
  text += fmt::format("{}\n{}", section_text(defaults, "run", true),
                      section_text(defaults, "sampling", true));
  text +=
      "\n"
      "# One [[case]] per workload; `dlscale --list` shows workloads and their keys.\n"
      "# Arrays multiply; zip pairs them; list takes combinations from a CSV file.\n"
      "# [[case]]\n"
      "# workload = \"gemm\"\n"
      "# m = [1024, 2048]\n"
      "# n = [1024, 2048]\n"
      "# zip = [\"m\", \"n\"]\n"
      "# list = \"lists/x.csv\"\n"
      "# threads = 1\n"
      "# occupancy = [\"alone\", \"together\"]\n"
      "# require: performance asked for; missed, the run ends with exit code 3.\n";
  for (const Requirement& known : requirements())
    text += fmt::format("#   {}: {}\n", known.name, known.help);
  text += "# require = { min_rate = 0.9 }\n";
  return text;
}

std::string resolved_text(const Config& config) {
  std::string text =
      fmt::format("{}\n{}", section_text(config, "run", false), section_text(config, "sampling", false));
  for (const CaseRequest& request : config.cases) text += case_request_text(request);
  return text;
}

}  // namespace dlscale
