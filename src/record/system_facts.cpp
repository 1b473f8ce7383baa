// SPDX-License-Identifier: BSD-3-Clause
#include "record/system_facts.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/text.hpp"

namespace dlscale {

Topology load_topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw std::runtime_error("hwloc_topology_init failed");
  Topology topology(raw);
  if (hwloc_topology_load(raw) != 0) throw std::runtime_error("hwloc_topology_load failed");
  return topology;
}

Bitmap affinity_mask(const Topology& topology) {
  Bitmap mask(hwloc_bitmap_alloc());
  if (!mask) throw std::bad_alloc();
  if (hwloc_get_cpubind(topology.get(), mask.get(), HWLOC_CPUBIND_PROCESS) != 0 ||
      hwloc_bitmap_iszero(mask.get()) != 0)
    if (hwloc_bitmap_copy(mask.get(), hwloc_topology_get_topology_cpuset(topology.get())) != 0)
      throw std::bad_alloc();
  return mask;
}

std::string bitmap_list(hwloc_const_bitmap_t bitmap) {
  char* text = nullptr;
  if (hwloc_bitmap_list_asprintf(&text, bitmap) < 0 || text == nullptr) return {};
  const std::string list(text);
  std::free(text);
  return list;
}

std::optional<std::string> read_text_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  std::string text = content.str();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
}

std::string proc_field(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    std::string_view rest = std::string_view(line).substr(key.size());
    // With a colon in the line only blanks may stand before it: "model" is not "model name".
    const auto separator = line.find(':') == std::string::npos ? 0 : rest.find_first_not_of(" \t");
    if (separator >= rest.size() ||
        (rest[separator] != ':' && rest[separator] != ' ' && rest[separator] != '\t'))
      continue;
    rest.remove_prefix(separator + 1);
    return std::string(trim(rest));
  }
  return {};
}

std::string selected_choice(const std::string& choices) {
  const auto begin = choices.find('['), end = choices.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return choices;
  return choices.substr(begin + 1, end - begin - 1);
}

}  // namespace dlscale
