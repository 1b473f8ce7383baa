// SPDX-License-Identifier: BSD-3-Clause
/// The GPU module, found and loaded at run time, so that one binary starts on nodes with and without
/// CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dlscale {

struct GpuDevice {
  std::string name, uuid, pci;
  std::int64_t memory_bytes = 0;
  int numa = -1;           ///< domain of its PCI slot; −1 unknown
  int numa_distance = -1;  ///< from the cores of the rank that sees it (10 = local); −1 unknown
  int capability = 0;      ///< 90: compute capability 9.0
};

/// What the module found on this node; `why` is a sentence when no GPU can be used.
struct GpuProbe {
  std::vector<GpuDevice> devices;
  std::string why;
  bool usable() const { return !devices.empty(); }
};

/// Loads libdlscale_cuda.so from beside the binary, then from its ../lib/dlscale, then by the loader's
/// path; kept loaded. Asked once per process.
const GpuProbe& probe_gpus();

/// What --device auto asks. Without a driver the answer is no before the module is loaded, which takes
/// every rank some 0.1 s, and more where its libraries come over a network.
bool finds_gpu();

/// A function the module exports under this name; nullptr where there is no module of this very build.
void* gpu_symbol(const char* name);

/// Makes device `index` of probe_gpus() this process's; before anything is made on it. Throws
/// Error(refused) with the driver's words.
void select_gpu(int index);

/// Readings of the selected GPU; NaN what it does not tell.
struct GpuSensors {
  double energy_j = 0;       ///< since the driver was loaded
  double clock_hz = 0;       ///< of the multiprocessors, now
  double temperature_c = 0;  ///< now
  double throttle_bits = 0;  ///< NVML's reasons why the clock is held back, idleness left out
};
/// By the driver's management library; takes some 0.1 ms.
GpuSensors read_gpu_sensors();

/// Entries of the module. The build's id must be the program's: both share C++ types.
using GpuBuildFunction = const char* (*)();
constexpr const char* gpu_build_symbol = "dlscale_cuda_build";
/// Writes NUL-terminated JSON {"devices": […]} or {"error": "…"} and returns 0, or the size needed.
using GpuProbeFunction = int (*)(char* json, int size);
constexpr const char* gpu_probe_symbol = "dlscale_cuda_probe";
/// Returns nullptr, or the driver's words.
using GpuSelectFunction = const char* (*)(int device);
constexpr const char* gpu_select_symbol = "dlscale_cuda_select";
using GpuSensorsFunction = void (*)(GpuSensors* sensors);
constexpr const char* gpu_sensors_symbol = "dlscale_cuda_sensors";

/// Folder of the running executable.
std::string executable_dir();

}  // namespace dlscale
