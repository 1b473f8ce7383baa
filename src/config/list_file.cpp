// SPDX-License-Identifier: BSD-3-Clause
// list = "lists/x.csv": a header of keys, every row one combination.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/case_request.hpp"
#include "config/options.hpp"

namespace dlscale {
namespace {

constexpr std::size_t largest_file_bytes = 16u << 20;  // a job or list beyond it is another kind of file
constexpr std::size_t most_rows = 100'000;

std::vector<std::string> header_of(std::string_view line, const Place& place) {
  const std::vector<std::string> columns = split(line, ',');
  for (auto column = columns.begin(); column != columns.end(); ++column) {
    if (column->empty())
      refuse(place, "a column of the list has no name", "the first row names the keys");
    if (std::find(columns.begin(), column, *column) != column)
      refuse(place, fmt::format("column '{}' of the list appears twice", one_line(*column)));
  }
  return columns;
}

Params row_of(std::string_view line, const std::vector<std::string>& columns, const Place& place) {
  const std::vector<std::string> cells = split(line, ',');
  if (cells.size() != columns.size())
    refuse(place,
           fmt::format("row of the list has {} values for {} columns", cells.size(), columns.size()),
           fmt::format("columns: {}", one_line(fmt::format("{}", fmt::join(columns, ",")))));
  Params row;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string_view cell = cells[i];
    if (cell.empty()) refuse(place, fmt::format("column '{}' of the list is empty here", columns[i]));
    const bool in_quotes = cell.size() >= 2 && cell.front() == '"' && cell.back() == '"';
    if (in_quotes) cell = cell.substr(1, cell.size() - 2);
    row.set(columns[i], in_quotes ? Scalar(std::string(cell)) : bare_value(cell));
  }
  return row;
}

}  // namespace

std::string read_text_file(const std::string& path, std::string_view what, const Place& place) {
  const auto fail = [&](std::string_view why) {
    refuse(place, fmt::format("can't read the {} '{}'", what, one_line(path)), why);
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) fail("it is a folder");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) fail(std::generic_category().message(errno));
  std::string text;
  char buffer[65536];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, count);
    if (text.size() > largest_file_bytes) fail("it is larger than 16 MiB");
  }
  if (std::ferror(file.get())) fail("reading failed");
  if (text.rfind("\x89HDF", 0) == 0) fail("it is an HDF5 file; to go on with a run, use --resume");
  if (!is_utf8(text)) fail("it is not UTF-8 text");
  return text;
}

void parse_list(const std::string& text, const std::string& source, CaseRequest& request) {
  std::vector<std::string> columns;
  int number = 0;
  std::string_view rest = text;
  if (rest.rfind("\xEF\xBB\xBF", 0) == 0) rest.remove_prefix(3);  // spreadsheets write a byte order mark
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const Place place{source, number};
    if (columns.empty()) {
      columns = header_of(line, place);
      continue;
    }
    if (request.rows.size() == most_rows)
      refuse(place, fmt::format("the list has more than {} rows", most_rows));
    request.rows.push_back(row_of(line, columns, place));
    request.row_places.push_back(place);
  }
  if (request.rows.empty())
    refuse({source, std::max(number, 1)}, "the list is empty",
           "a header row of keys and at least one row of values");
}

void read_list_file(const std::string& lists_dir, const Place& place, CaseRequest& request) {
  const std::filesystem::path path = std::filesystem::path(lists_dir) / request.list_file;
  parse_list(read_text_file(path.string(), "list", place), request.list_file, request);
}

}  // namespace dlscale
