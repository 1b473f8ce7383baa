// SPDX-License-Identifier: BSD-3-Clause
// Limits of control groups, versions 1 and 2, from the process's own group up to the root.
#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/text.hpp"
#include "record/system_facts.hpp"

namespace dlscale {
namespace {

/// One hierarchy as mounted: where, which group its root is, and its controllers (empty for version 2).
struct Mount {
  std::string root, point;
  std::vector<std::string> options;
  bool version2 = false;
};

/// /proc/self/mountinfo: "id parent dev root point options … - type source super-options" (proc(5)).
std::vector<Mount> control_group_mounts(const std::string& root) {
  std::vector<Mount> mounts;
  std::istringstream lines(read_text_file(root + "/proc/self/mountinfo").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream before(line.substr(0, separator)), after(line.substr(separator + 3));
    std::string skip, type, source, options;
    Mount mount;
    before >> skip >> skip >> skip >> mount.root >> mount.point;
    after >> type >> source >> options;
    if (type != "cgroup" && type != "cgroup2") continue;
    mount.version2 = type == "cgroup2";
    mount.options = split(options, ',');
    mounts.push_back(mount);
  }
  return mounts;
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// Path of this process's group in the hierarchy of `controller`, or of version 2 if it is empty.
std::optional<std::string> own_group(const std::string& root, std::string_view controller) {
  std::istringstream lines(read_text_file(root + "/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? line.starts_with("0::") : contains(split(controllers, ','), controller))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

/// Folders from the process's group up to the mount's root.
std::vector<std::string> folders_upwards(const std::string& root, const Mount& mount,
                                         std::string group) {
  // Inside a container the mount may show only the part below its own root.
  if (mount.root != "/" && group.starts_with(mount.root)) group.erase(0, mount.root.size());
  std::vector<std::string> folders;
  while (!group.empty() && group != "/") {
    folders.push_back(root + mount.point + group);
    group.erase(group.rfind('/'));
  }
  folders.push_back(root + mount.point);
  return folders;
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const auto text = read_text_file(path);
  return text ? parse<std::int64_t>(*text) : std::nullopt;
}

template <class Number>
void keep_smaller(std::optional<Number>& kept, Number value) {
  kept = kept ? std::min(*kept, value) : value;
}

void add_memory(ControlGroupLimits& limits, const std::string& folder, bool version2) {
  const auto limit = read_number(folder + (version2 ? "/memory.max" : "/memory.limit_in_bytes"));
  // Version 1 writes "no limit" as a huge number; version 2 as "max", which is no number.
  if (!limit || *limit >= std::int64_t{1} << 60) return;
  keep_smaller(limits.memory_limit_bytes, *limit);
  const auto used = read_number(folder + (version2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!used) return;
  const std::string cache =
      proc_field(folder + "/memory.stat", version2 ? "inactive_file" : "total_inactive_file");
  const std::int64_t reclaimable = parse<std::int64_t>(cache).value_or(0);
  keep_smaller(limits.memory_left_bytes,
               std::max<std::int64_t>(*limit - std::max<std::int64_t>(*used - reclaimable, 0), 0));
}

void add_cpus(ControlGroupLimits& limits, const std::string& folder, bool version2) {
  std::optional<double> quota, period;
  if (version2) {
    std::istringstream text(read_text_file(folder + "/cpu.max").value_or(""));
    std::string first, second;
    text >> first >> second;
    quota = parse<double>(first);
    period = parse<double>(second);
  } else {
    quota = parse<double>(read_text_file(folder + "/cpu.cfs_quota_us").value_or(""));
    period = parse<double>(read_text_file(folder + "/cpu.cfs_period_us").value_or(""));
  }
  if (quota && period && *quota > 0 && *period > 0) keep_smaller(limits.cpus, *quota / *period);
}

}  // namespace

ControlGroupLimits control_group_limits(const std::string& root) {
  ControlGroupLimits limits;
  for (const Mount& mount : control_group_mounts(root)) {
    for (const std::string_view controller : {"memory", "cpu"}) {
      if (!mount.version2 && !contains(mount.options, controller)) continue;
      const auto group = own_group(root, mount.version2 ? "" : controller);
      if (!group) continue;
      for (const std::string& folder : folders_upwards(root, mount, *group))
        controller == "memory" ? add_memory(limits, folder, mount.version2)
                               : add_cpus(limits, folder, mount.version2);
    }
  }
  return limits;
}

}  // namespace dlscale
