// SPDX-License-Identifier: BSD-3-Clause
// The environment of a launch as JSON, and the lines of it that must agree across ranks.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "device/blas.hpp"
#include "record/provenance.hpp"
#include "record/system_facts.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

/// Variables that change what is measured, by the beginning of their names.
constexpr std::array prefixes = {
    "OMP_",   "KMP_",   "GOMP_",  "OPENBLAS_", "GOTO_",   "MKL_",    "BLIS_", "OMPI_",  "PRTE_MCA_",
    "I_MPI_", "MPICH_", "MV2_",   "UCX_",      "FI_",     "PSM",     "HDF5_", "CUDA_",  "NVIDIA_",
    "NCCL_",  "CUDNN_", "CUBLAS", "DNNL_",     "ONEDNN_", "MALLOC_", "PAPI_", "GLIBC_", "DLSCALE_"};
constexpr std::array whole_names = {"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_BIND_NOW", "TMPDIR",
                                    "LOADEDMODULES"};

/// Never recorded, whatever it begins with.
bool may_be_secret(std::string_view name) {
  for (const std::string_view word :
       {"TOKEN", "JWT", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "_KEY"})
    if (name.find(word) != std::string_view::npos) return true;
  return false;
}

/// Set variables whose name satisfies `wanted`.
template <class Predicate>
json variables(Predicate wanted) {
  json found = json::object();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    if (wanted(name) && !may_be_secret(name))
      found[std::string(name)] = std::string(text.substr(equals + 1));
  }
  return found;
}

bool changes_behaviour(std::string_view name) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](auto prefix) { return name.starts_with(prefix); }) ||
         std::find(whole_names.begin(), whole_names.end(), name) != whole_names.end();
}

std::string text_of(const std::string& path) {
  return read_text_file(path).value_or("");
}

std::string governor() {
  return text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
}

std::string clock_source() {
  return text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource");
}

std::string transparent_hugepages() {
  return selected_choice(text_of("/sys/kernel/mm/transparent_hugepage/enabled"));
}

std::string kernel_release() {
  utsname name = {};
  return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "";
}

json library_list() {
  json list = json::array();
  for (const LoadedLibrary& library : loaded_libraries())
    list.push_back(
        {{"path", library.path}, {"version", library.version}, {"build_id", library.build_id}});
  return list;
}

json blas_json() {
  const BlasFacts blas = blas_facts();
  return {{"library", blas.library},
          {"vendor", blas.vendor},
          {"core_name", blas.core_name},
          {"config", blas.config},
          {"threads", blas.threads}};
}

json build_json() {
  const BuildFacts build = build_facts();
  return {{"version", build.version}, {"git_hash", build.git_hash}, {"build_id", executable_build_id()},
          {"type", build.build_type}, {"debug", build.debug},       {"compiler", build.compiler},
          {"flags", build.flags},     {"cmake", build.cmake},       {"system", build.system}};
}

json caches_json(const Topology& topology) {
  json caches = json::array();
  const int depth = hwloc_topology_get_depth(topology.get());
  for (int level = 0; level < depth; ++level) {
    const hwloc_obj_t object = hwloc_get_obj_by_depth(topology.get(), level, 0);
    if (object == nullptr || hwloc_obj_type_is_cache(object->type) == 0) continue;
    caches.push_back({{"level", object->attr->cache.depth},
                      {"instruction", object->attr->cache.type == HWLOC_OBJ_CACHE_INSTRUCTION},
                      {"bytes", object->attr->cache.size},
                      {"line_bytes", object->attr->cache.linesize},
                      {"shared_by_pus", hwloc_bitmap_weight(object->cpuset)},
                      {"count", hwloc_get_nbobjs_by_depth(topology.get(), level)}});
  }
  return caches;
}

json numa_json(const Topology& topology) {
  json domains = json::array();
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_NUMANODE, node)) != nullptr;)
    domains.push_back({{"id", node->os_index},
                       {"cpus", bitmap_list(node->cpuset)},
                       {"memory_bytes", node->attr->numanode.local_memory}});
  return domains;
}

void add_processor(json& all) {
  const Topology topology = load_topology();
  const HostFacts host = read_host_facts();
  std::string flags = proc_field("/proc/cpuinfo", "flags");
  if (flags.empty()) flags = proc_field("/proc/cpuinfo", "Features");  // Arm
  all["host"] = host.host;
  all["cpu"] = {{"model", host.cpu_model},
                {"flags", flags},
                {"microcode", proc_field("/proc/cpuinfo", "microcode")},
                {"cores", host.node_cores},
                {"packages", hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_PACKAGE)},
                {"pus", hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_PU)},
                {"caches", caches_json(topology)},
                {"governor", governor()},
                {"boost", text_of("/sys/devices/system/cpu/cpufreq/boost")},
                {"no_turbo", text_of("/sys/devices/system/cpu/intel_pstate/no_turbo")},
                {"smt", text_of("/sys/devices/system/cpu/smt/active")}};
  all["numa"] = numa_json(topology);
  all["numa_balancing"] = text_of("/proc/sys/kernel/numa_balancing");
  all["cpuset"] = {{"affinity", host.cpus},
                   {"affinity_cores", host.affinity_cores},
                   {"allowed_cpus", proc_field("/proc/self/status", "Cpus_allowed_list")},
                   {"allowed_memory", proc_field("/proc/self/status", "Mems_allowed_list")}};
  all["memory"] = {{"total_bytes", host.memory_total_bytes},
                   {"available_bytes", host.memory_available_bytes}};
}

json control_group_json() {
  const ControlGroupLimits limits = control_group_limits();
  json group = json::object();
  if (limits.memory_limit_bytes) group["memory_limit_bytes"] = *limits.memory_limit_bytes;
  if (limits.memory_left_bytes) group["memory_left_bytes"] = *limits.memory_left_bytes;
  if (limits.cpus) group["cpus"] = *limits.cpus;
  return group;
}

json command_line() {
  json arguments = json::array();
  std::string text = text_of("/proc/self/cmdline");
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\0', at), text.size());
    arguments.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return arguments;
}

}  // namespace

std::string environment_json() {
  const ClockFacts clock = measure_clock();
  json all;
  all["build"] = build_json();
  all["command_line"] = command_line();
  all["libraries"] = library_list();
  all["blas"] = blas_json();
  all["mpi"] = {{"version", mpi_library_version()}};
  all["hdf5"] = {{"version", hdf5_library_version()}};
  add_processor(all);
  all["cgroup"] = control_group_json();
  all["clock"] = {
      {"source", clock_source()}, {"cost_s", clock.cost_s}, {"resolution_s", clock.resolution_s}};
  all["kernel"] = kernel_release();
  all["hugepages"] = {{"transparent", transparent_hugepages()},
                      {"defrag", selected_choice(text_of("/sys/kernel/mm/transparent_hugepage/defrag"))},
                      {"reserved", proc_field("/proc/meminfo", "HugePages_Total")},
                      {"page_size", proc_field("/proc/meminfo", "Hugepagesize")}};
  all["slurm"] = variables([](std::string_view name) { return name.starts_with("SLURM_"); });
  all["variables"] = variables(changes_behaviour);
  // Paths and variables need not be UTF-8; the file's text is.
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::string> comparable_facts() {
  const HostFacts host = read_host_facts();
  const BlasFacts blas = blas_facts();
  std::string mpi = mpi_library_version();
  std::replace(mpi.begin(), mpi.end(), '\n', ' ');
  std::vector<std::string> lines = {
      "dlscale: " + version() + " " + git_hash() + (host.debug_build ? " debug" : ""),
      "executable: " + executable_build_id(),
      "cpu: " + host.cpu_model,
      "cores per node: " + std::to_string(host.node_cores),
      "kernel: " + kernel_release(),
      "governor: " + governor(),
      "clock source: " + clock_source(),
      "transparent hugepages: " + transparent_hugepages(),
      "mpi: " + mpi,
      "hdf5: " + hdf5_library_version(),
      "blas: " + blas.vendor + " " + blas.core_name + " " + blas.config,
  };
  for (const LoadedLibrary& library : loaded_libraries())
    lines.push_back("library " + std::filesystem::path(library.path).filename().string() + ": " +
                    library.build_id);
  return lines;
}

}  // namespace dlscale
