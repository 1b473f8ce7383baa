// SPDX-License-Identifier: BSD-3-Clause
/// Small readers of /proc, /sys, the loader and the processor's topology, shared by the files of
/// provenance.
#pragma once

#include <hwloc.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/handle.hpp"

namespace dlscale {

struct TopologyTraits {
  static hwloc_topology_t null() noexcept { return nullptr; }
  static void close(hwloc_topology_t topology) noexcept { hwloc_topology_destroy(topology); }
};
using Topology = Handle<TopologyTraits>;
struct BitmapTraits {
  static hwloc_bitmap_t null() noexcept { return nullptr; }
  static void close(hwloc_bitmap_t bitmap) noexcept { hwloc_bitmap_free(bitmap); }
};
using Bitmap = Handle<BitmapTraits>;

/// The part of the machine this job may see. Throws std::runtime_error if hwloc fails.
Topology load_topology();
/// The process's affinity mask; the whole topology where the system doesn't tell.
Bitmap affinity_mask(const Topology& topology);
/// "0-3,8".
std::string bitmap_list(hwloc_const_bitmap_t bitmap);

/// Whole file without its last newlines; nothing if it can't be read.
std::optional<std::string> read_text_file(const std::string& path);
/// Value of the first line "key : value" or "key value" of a /proc file; empty if absent.
std::string proc_field(const std::string& path, std::string_view key);
/// "always [madvise] never" → "madvise".
std::string selected_choice(const std::string& choices);

/// What control groups allow this process: the tightest limit from its own group up to the root.
struct ControlGroupLimits {
  std::optional<std::int64_t> memory_limit_bytes;
  std::optional<std::int64_t>
      memory_left_bytes;       ///< limit − use, reclaimable page cache not counted as used
  std::optional<double> cpus;  ///< quota / period
};
/// Version 1 and version 2. `root` stands in front of every path read ("" for the real system).
ControlGroupLimits control_group_limits(const std::string& root = "");

/// A library in this process's memory.
struct LoadedLibrary {
  std::string path, version,
      build_id;  ///< real path; version from its file name; id as hex, may be empty
};
std::vector<LoadedLibrary> loaded_libraries();

/// What MPI and HDF5 say of themselves, through dlsym: none of them is linked here.
std::string mpi_library_version();  ///< empty if no MPI is loaded
std::string hdf5_library_version();

struct BuildFacts {
  std::string version, git_hash, build_type, compiler, flags, cmake, system;
  bool debug = false;  ///< anything but an optimised build without sanitizers
};
BuildFacts build_facts();

}  // namespace dlscale
