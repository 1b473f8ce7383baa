// SPDX-License-Identifier: BSD-3-Clause
#include "config/case_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

const Setting* find_setting(const CaseRequest& request, std::string_view key) {
  for (const Setting& setting : request.settings)
    if (setting.key == key) return &setting;
  return nullptr;
}

void check_zip_group(const CaseRequest& request, const std::vector<std::string>& group,
                     const Place& place) {
  if (group.size() < 2)
    refuse(place, "key 'zip' of [[case]] needs at least two names in a group", {},
           R"(write zip = ["m", "n"], or leave it out)");
  std::vector<std::string> keys;
  for (const Setting& setting : request.settings) keys.push_back(setting.key);
  const Setting* first = nullptr;
  for (const std::string& name : group) {
    const Setting* setting = find_setting(request, name);
    if (!setting)
      refuse(place, fmt::format("key 'zip' names '{}', which this case does not set", one_line(name)),
             {}, suggest(name, keys));
    if (!first) first = setting;
    if (setting->values.size() != first->values.size())
      refuse(place, fmt::format("key 'zip' pairs '{}' with '{}'", first->key, setting->key),
             fmt::format("{} has {} values and {} has {}", first->key, first->values.size(),
                         setting->key, setting->values.size()),
             "give them arrays of one length");
  }
}

void check_columns(const CaseRequest& request) {
  for (std::size_t i = 0; i < request.rows.size(); ++i)
    for (const auto& [key, value] : request.rows[i].items()) {
      const bool is_word =
          std::find(case_words().begin(), case_words().end(), key) != case_words().end();
      if (is_word) refuse(request.row_places[i], fmt::format("'{}' can't be a column of a list", key));
      if (find_setting(request, key))
        refuse(find_setting(request, key)->place,
               fmt::format("key '{}' of [[case]] is also a column of its list", one_line(key)), {},
               "give it once: in the case or in the list");
    }
}

}  // namespace

void check_case_request(const CaseRequest& request) {
  std::set<std::string> seen;
  for (const auto& group : request.zip) {
    check_zip_group(request, group, request.place);
    for (const std::string& name : group)
      if (!seen.insert(name).second)
        refuse(request.place, fmt::format("key 'zip' names '{}' twice", one_line(name)), {},
               "name every key once");
  }
  check_columns(request);
}

double checked_requirement(std::string_view key, const Scalar& value, const Place& place) {
  std::vector<std::string> names;
  for (const Requirement& known : requirements()) {
    names.emplace_back(known.name);
    if (known.name != key) continue;
    const double number = checked_number(value, {key, "'require'", place}, 0, known.max);
    if (number == 0)
      refuse_value({key, "'require'", place}, value, fmt::format("{}, above 0", known.help));
    return number;
  }
  refuse_key({key, "'require'", place}, names);
}

}  // namespace dlscale
