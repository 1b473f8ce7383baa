// SPDX-License-Identifier: BSD-3-Clause
// --case 'gemm m=4096 k=1024,2048 label="a b"'
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/case_request.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

constexpr std::string_view blanks = " \t\r\n";

/// Reads a --case text from left to right.
class CaseReader {
 public:
  CaseReader(std::string_view text, const Place& place) : rest_(text), place_(place) {}

  bool at_end() {
    const std::size_t first = rest_.find_first_not_of(blanks);
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
    return rest_.empty();
  }

  /// Up to a blank or one of `stops`, which is left.
  std::string_view word(std::string_view stops) {
    const std::size_t end =
        std::min({rest_.find_first_of(blanks), rest_.find_first_of(stops), rest_.size()});
    const std::string_view result = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return result;
  }

  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Scalar value(std::string_view key) {
    if (!skip('"')) {
      const std::string_view text = word(",");
      if (text.empty()) refuse(place_, fmt::format("key '{}' has an empty value", one_line(key)));
      return bare_value(text);
    }
    std::string text;
    while (!skip('"')) {
      if (rest_.empty())
        refuse(place_, fmt::format("the quotes of key '{}' are not closed", one_line(key)));
      text += character(key);
    }
    if (!rest_.empty() && (blanks.find(rest_.front()) == blanks.npos && rest_.front() != ','))
      refuse(place_, fmt::format("the quotes of key '{}' end inside a word", one_line(key)), {},
             "quote all of it");
    return text;
  }

 private:
  char character(std::string_view key) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c != '\\') return c;
    if (skip('"')) return '"';
    if (skip('\\')) return '\\';
    refuse(place_, fmt::format("a backslash in the quotes of key '{}' stands alone", one_line(key)), {},
           R"(write \\ for a backslash and \" for a quote)");
  }

  std::string_view rest_;
  const Place& place_;
};

}  // namespace

CaseRequest parse_case_text(const std::string& text) {
  CaseRequest request;
  request.place = {fmt::format("--case '{}'", one_line(text)), 0};
  const Place& place = request.place;
  if (!is_utf8(text)) refuse(place, "the text is not UTF-8");
  CaseReader reader(text, place);
  if (reader.at_end())
    refuse(place, "no workload is named", {}, "write --case 'gemm m=4096 n=4096 k=4096'");
  request.workload = reader.word("=,");
  while (!reader.at_end()) {
    const std::string key(reader.word("=,"));
    if (key.empty() || request.workload.empty() || !reader.skip('='))
      refuse(place, fmt::format("'{}' is no key=value", one_line(key.empty() ? text : key)), {},
             "write a workload, then key=value separated by blanks");
    const auto& words = case_words();
    if (std::find(words.begin(), words.end(), key) != words.end())
      refuse(place, fmt::format("'{}' can't be given here", key), "it belongs in a job file's [[case]]");
    for (const Setting& setting : request.settings)
      if (setting.key == key)
        refuse(place, fmt::format("key '{}' is given twice", one_line(key)), {},
               "several values: m=512,1024");
    Setting setting{key, {reader.value(key)}, place};
    while (reader.skip(',')) setting.values.push_back(reader.value(key));
    request.settings.push_back(std::move(setting));
  }
  return request;
}

}  // namespace dlscale
