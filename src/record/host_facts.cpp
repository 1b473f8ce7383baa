// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "base/text.hpp"
#include "record/lock_file.hpp"
#include "record/provenance.hpp"
#include "record/system_facts.hpp"

namespace dlscale {
namespace {

/// A "… kB" field of /proc/meminfo in bytes; 0 if absent.
std::int64_t meminfo_bytes(std::string_view key) {
  const std::string text = proc_field("/proc/meminfo", key);
  std::int64_t kib = 0;
  std::from_chars(text.data(), text.data() + text.size(), kib);
  return kib * 1024;
}

void read_memory(HostFacts& facts) {
  facts.memory_total_bytes = meminfo_bytes("MemTotal");
  facts.memory_available_bytes = meminfo_bytes("MemAvailable");
  const ControlGroupLimits limits = control_group_limits();
  if (limits.memory_limit_bytes)
    facts.memory_total_bytes = std::min(facts.memory_total_bytes, *limits.memory_limit_bytes);
  if (limits.memory_left_bytes)
    facts.memory_available_bytes = std::min(facts.memory_available_bytes, *limits.memory_left_bytes);
}

void read_cores(HostFacts& facts) {
  const Topology topology = load_topology();
  const Bitmap mask = affinity_mask(topology);
  facts.cpus = bitmap_list(mask.get());
  facts.affinity_pus = std::max(hwloc_bitmap_weight(mask.get()), 1);
  // Virtual machines may hide the cores; then a hardware thread counts as one.
  const bool has_cores = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_CORE) > 0;
  const hwloc_obj_type_t type = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  facts.node_cores = std::max(hwloc_get_nbobjs_by_type(topology.get(), type), 1);
  for (hwloc_obj_t core = nullptr;
       (core = hwloc_get_next_obj_by_type(topology.get(), type, core)) != nullptr;) {
    if (hwloc_bitmap_intersects(core->cpuset, mask.get()) == 0) continue;
    if (facts.core_ids.empty() && core->nodeset != nullptr)
      facts.numa = hwloc_bitmap_first(core->nodeset);
    facts.core_ids.push_back(static_cast<int>(core->logical_index));
  }
  facts.affinity_cores = std::max(static_cast<int>(facts.core_ids.size()), 1);
}

/// SLURM_TOPOLOGY_ADDR "core1.leaf3.node17" with pattern "switch.switch.node" → "core1.leaf3".
std::string slurm_switch() {
  const char* address = std::getenv("SLURM_TOPOLOGY_ADDR");
  const char* pattern = std::getenv("SLURM_TOPOLOGY_ADDR_PATTERN");
  if (address == nullptr || pattern == nullptr) return {};
  const auto names = split(address, '.'), kinds = split(pattern, '.');
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kinds.size()); ++i)
    if (kinds[i] == "switch" || kinds[i] == "block") text += (text.empty() ? "" : ".") + names[i];
  return text;
}

}  // namespace

int numa_of_pci(const std::string& pci) {
  std::string name = pci;  // CUDA writes capitals, the kernel does not
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::ifstream file("/sys/bus/pci/devices/" + name + "/numa_node");
  int numa = -1;
  return file >> numa && numa >= 0 ? numa : -1;
}

int numa_distance(int from, int to) {
  if (from < 0 || to < 0) return -1;
  // One number per online domain, in order; holes in the numbering are rare and give −1.
  std::ifstream file("/sys/devices/system/node/node" + std::to_string(from) + "/distance");
  std::string text;
  std::getline(file, text);
  const auto words = split(text, ' ');
  if (static_cast<std::size_t>(to) >= words.size()) return -1;
  int value = -1;
  const auto& word = words[static_cast<std::size_t>(to)];
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

HostFacts read_host_facts() {
  HostFacts facts;
  facts.host = this_host();
  facts.pid = static_cast<int>(getpid());
  read_cores(facts);
  read_memory(facts);
  facts.cpu_model = proc_field("/proc/cpuinfo", "model name");
  facts.network_switch = slurm_switch();
  facts.debug_build = build_facts().debug;
  return facts;
}

}  // namespace dlscale
