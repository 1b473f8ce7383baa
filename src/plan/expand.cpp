// SPDX-License-Identifier: BSD-3-Clause
// Arrays multiply, zipped keys advance together, list rows come first.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/checked_value.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

/// Keys that advance together, and how many values they have.
struct Axis {
  std::vector<const Setting*> settings;
  std::size_t size = 0;
};

std::vector<Axis> axes_of(const CaseRequest& request) {
  std::vector<Axis> axes;
  std::vector<std::size_t> axis_of_group(request.zip.size(), SIZE_MAX);
  for (const Setting& setting : request.settings) {
    std::size_t group = 0;
    while (group < request.zip.size() && std::find(request.zip[group].begin(), request.zip[group].end(),
                                                   setting.key) == request.zip[group].end())
      ++group;
    const bool joins = group < request.zip.size() && axis_of_group[group] != SIZE_MAX;
    if (!joins) {
      if (group < request.zip.size()) axis_of_group[group] = axes.size();
      axes.push_back({{}, setting.values.size()});
    }
    Axis& axis = joins ? axes[axis_of_group[group]] : axes.back();
    axis.settings.push_back(&setting);
    axis.size =
        std::min(axis.size, setting.values.size());  // equal: config refuses zips of unequal lengths
  }
  return axes;
}

void check_count(const CaseRequest& request, const std::vector<Axis>& axes, std::int64_t limit) {
  auto count = static_cast<std::int64_t>(std::max<std::size_t>(1, request.rows.size()));
  bool overflow = false;
  for (const Axis& axis : axes)
    overflow |= __builtin_mul_overflow(count, static_cast<std::int64_t>(axis.size), &count);
  if (overflow || count > limit)
    refuse(request.place,
           fmt::format("[[case]] of workload '{}' multiplies to more than {} cases",
                       one_line(request.workload), limit),
           "every array multiplies the number of cases", "pair arrays with zip, or split the job");
}

// Counts up like an odometer, the last axis fastest; false after the last combination.
bool advance(std::vector<std::size_t>& index, const std::vector<Axis>& axes) {
  for (std::size_t a = axes.size(); a-- > 0;) {
    if (++index[a] < axes[a].size) return true;
    index[a] = 0;
  }
  return false;
}

}  // namespace

void for_each_combination(const CaseRequest& request, std::int64_t limit,
                          const std::function<void(std::span<const Given>)>& use) {
  const std::vector<Axis> axes = axes_of(request);
  check_count(request, axes, limit);
  static const Params no_columns;
  const std::size_t rows = std::max<std::size_t>(1, request.rows.size());
  std::vector<Given> given;
  for (std::size_t row = 0; row < rows; ++row) {
    const Params& columns = request.rows.empty() ? no_columns : request.rows[row];
    const Place& row_place = row < request.row_places.size() ? request.row_places[row] : request.place;
    std::vector<std::size_t> index(axes.size());
    do {
      given.clear();
      for (const auto& [key, value] : columns.items()) given.push_back({key, &value, &row_place});
      for (std::size_t a = 0; a < axes.size(); ++a)
        for (const Setting* setting : axes[a].settings)
          given.push_back({setting->key, &setting->values[index[a]], &setting->place});
      use(given);
    } while (advance(index, axes));
  }
}

}  // namespace dlscale
