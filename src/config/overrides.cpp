// SPDX-License-Identifier: BSD-3-Clause
// --set section.key=value: [run], [sampling], all cases ("case") or all cases of a workload.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/case_request.hpp"
#include "config/options.hpp"
#include "config/toml_tools.hpp"

namespace dlscale {
namespace {

// As TOML when it is one TOML value, else bare words, several of them with commas.
std::vector<Scalar> set_values(const std::string& text, std::string_view key, const Place& place) {
  if (trim(text).empty()) refuse(place, fmt::format("key '{}' has an empty value", one_line(key)));
  toml::table table;
  bool is_toml = text.find_first_of("\r\n#") == std::string::npos;
  try {
    if (is_toml) table = toml::parse("v = " + text);
  } catch (const toml::parse_error&) {
    is_toml = false;
  }
  const toml::node* node = is_toml && table.size() == 1 ? table.get("v") : nullptr;
  const bool is_date = node && !node->is_array() && !node->is_table() && !scalar_of(*node);
  const bool is_word_inf =
      node && node->is_floating_point() && text.find_first_of("0123456789") == text.npos;
  if (node && !is_date && !is_word_inf) return values_of({std::string(key), node, place}, "--set");
  std::vector<Scalar> values;
  for (const std::string& word : split(text, ',')) {
    if (word.empty()) refuse(place, fmt::format("key '{}' has an empty value", one_line(key)));
    values.push_back(bare_value(word));
  }
  return values;
}

void set_option_text(Config& config, std::string_view section, std::string_view key,
                     const std::string& text, const Place& place) {
  const Option* option = find_option(section, key);
  const bool in_quotes = text.size() >= 2 && (text.front() == '"' || text.front() == '\'');
  if (option && option->takes_text && !in_quotes)
    return set_option(config, section, key, std::string(trim(text)), place);
  const auto values = option ? set_values(text, key, place) : std::vector<Scalar>{text};
  if (values.size() != 1) refuse(place, fmt::format("key '{}' of [{}] takes one value", key, section));
  set_option(config, section, key, values.front(), place);
}

// The new values replace array, zip partner and column alike.
void override_key(CaseRequest& request, const Setting& wanted) {
  auto found = std::find_if(request.settings.begin(), request.settings.end(),
                            [&](const Setting& s) { return s.key == wanted.key; });
  const std::size_t old_count = found == request.settings.end() ? 0 : found->values.size();
  if (found == request.settings.end())
    request.settings.push_back(wanted);
  else
    *found = wanted;
  for (auto& group : request.zip)
    if (old_count != wanted.values.size()) std::erase(group, wanted.key);
  std::erase_if(request.zip, [](const auto& group) { return group.size() < 2; });
  for (Params& row : request.rows) {
    Params kept;
    for (const auto& [key, value] : row.items())
      if (key != wanted.key) kept.set(key, value);
    row = std::move(kept);
  }
  if (std::all_of(request.rows.begin(), request.rows.end(),
                  [](const Params& r) { return r.items().empty(); })) {
    request.rows.clear();
    request.row_places.clear();
  }
}

void override_cases(Config& config, const std::string& section, const Setting& wanted) {
  const auto& words = case_words();
  if (std::find(words.begin(), words.end(), wanted.key) != words.end())
    refuse(wanted.place, fmt::format("'{}' can't be set here", wanted.key),
           "it belongs in a job file's [[case]]");
  std::vector<std::string> sections = {"run", "sampling", "case"};
  bool any = false;
  for (CaseRequest& request : config.cases) {
    sections.push_back(request.workload);
    if (section != "case" && section != request.workload) continue;
    override_key(request, wanted);
    any = true;
  }
  if (any) return;
  if (section == "case") refuse(wanted.place, "the job has no case");
  std::sort(sections.begin() + 3, sections.end());
  sections.erase(std::unique(sections.begin() + 3, sections.end()), sections.end());
  refuse(wanted.place, fmt::format("'{}' is no section and no workload of this job", one_line(section)),
         {}, suggest(section, sections));
}

}  // namespace

void apply_set(Config& config, const std::string& text) {
  const Place place{fmt::format("--set {}", one_line(text)), 0};
  if (!is_utf8(text)) refuse(place, "the text is not UTF-8");
  const std::size_t equals = text.find('=');
  const std::string path(trim(std::string_view(text).substr(0, equals)));
  const std::size_t dot = path.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot == 0 || dot + 1 == path.size())
    refuse(place, "this is no section.key=value", {},
           "write run.seed=7, sampling.blocks=8, gemm.m=512 or case.m=512");
  const std::string section = path.substr(0, dot), key = path.substr(dot + 1),
                    value = text.substr(equals + 1);
  if (section == "run" || section == "sampling")
    return set_option_text(config, section, key, value, place);
  override_cases(config, section, {key, set_values(value, key, place), place});
}

}  // namespace dlscale
