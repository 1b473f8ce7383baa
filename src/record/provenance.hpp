// SPDX-License-Identifier: BSD-3-Clause
/// Where and with what a run was made, read from the system itself. No MPI: comparing ranks is the
/// caller's job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dlscale {

/// This host as a plan and /system/ranks need it.
struct HostFacts {
  std::string host;
  int pid = 0;
  std::string cpus;        ///< affinity mask as a list
  int affinity_cores = 1;  ///< physical cores (hwloc) that intersect the mask
  int affinity_pus = 1;
  int node_cores = 1;         ///< physical cores of the host this job may see (cpuset included)
  int numa = -1;              ///< domain of the mask's first core; −1 unknown
  std::vector<int> core_ids;  ///< hwloc logical indices of the cores in the mask
  std::int64_t memory_available_bytes = 0;  ///< min(MemAvailable, cgroup v1/v2 limit − use)
  std::int64_t memory_total_bytes = 0;
  std::string cpu_model;
  std::string network_switch;  ///< from Slurm's topology variables, else empty
  bool debug_build = false;
};
HostFacts read_host_facts();

/// NUMA domain of a PCI device of this host ("0000:1a:00.0") by the kernel; −1 unknown.
int numa_of_pci(const std::string& pci);
/// Relative latency between two domains as the firmware tells (10 = local); −1 unknown.
int numa_distance(int from, int to);

/// GNU build id of the running executable as hex: equal on all ranks, or the binaries are mixed.
std::string executable_build_id();

/// Version strings compiled in.
std::string version();
std::string git_hash();

/// JSON object: libraries loaded (path, version), build (compiler, flags, type, CMake), BLAS (library,
/// core name, config, threads), MPI and HDF5 versions, CPU (model, flags, cores, caches), NUMA, cpuset,
/// clock source and measured clock cost, governor, kernel, hugepages, Slurm variables, every other
/// environment variable that changes behaviour and is set (OMP_*, OPENBLAS_*, MKL_*, OMPI_*, HDF5_*,
/// CUDA_*, NCCL_*, DLSCALE_*).
std::string environment_json();

/// The subset that must agree across ranks, as lines "name: value"; ranks with other lines are flagged.
std::vector<std::string> comparable_facts();

}  // namespace dlscale
