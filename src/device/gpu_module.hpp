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

/// The entry the module exports: writes NUL-terminated JSON {"devices": […]} or {"error": "…"} and
/// returns 0, or the size needed.
using GpuProbeFunction = int (*)(char* json, int size);
constexpr const char* gpu_probe_symbol = "dlscale_cuda_probe";

/// Folder of the running executable.
std::string executable_dir();

}  // namespace dlscale
