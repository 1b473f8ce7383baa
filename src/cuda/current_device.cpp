// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/current_device.hpp"

#include <array>
#include <string_view>

namespace dlscale::cuda {
namespace {

int selected = -1;

DeviceFacts read_facts() {
  if (selected < 0) select_device(0);
  cudaDeviceProp properties{};
  DLSCALE_CUDA(cudaGetDeviceProperties(&properties, selected));
  int clock_khz = 0;
  DLSCALE_CUDA(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, selected));
  return {.name = properties.name,
          .major = properties.major,
          .minor = properties.minor,
          .multiprocessors = properties.multiProcessorCount,
          .l2_bytes = static_cast<std::size_t>(properties.l2CacheSize),
          .memory_bytes = properties.totalGlobalMem,
          .boost_hz = 1e3 * clock_khz};
}

struct Rate {
  int major, minor;
  double f64, f32, tf32, bf16, f16, int8, fp8;
};
// Tensor cores where they are faster (f64 on 8.0, 9.0). Consumer chips accumulate in f32 at half the
// rate of f16; those are left out.
constexpr std::array<Rate, 4> rates = {{
    {8, 0, 128, 128, 1024, 2048, 2048, 4096, 0},      // A100: 108 at 1.41 GHz give 312 TFLOP/s of bf16
    {8, 9, 2, 256, 512, 1024, 1024, 2048, 2048},      // L40S: 142 at 2.52 GHz, 362
    {9, 0, 256, 256, 2048, 4096, 4096, 8192, 8192},   // H100, H200: 132 at 1.83 GHz, 989
    {10, 0, 0, 256, 4096, 8192, 8192, 16384, 16384},  // B200: 148 at 1.85 GHz, 2250
}};

}  // namespace

void select_device(int device) {
  DLSCALE_CUDA(cudaSetDevice(device));
  DLSCALE_CUDA(cudaFree(nullptr));  // makes the context: what fails, fails here
  selected = device;
}

const DeviceFacts& device_facts() {
  static const DeviceFacts facts = read_facts();
  return facts;
}

double operations_per_clock(int major, int minor, const std::string& dtype) {
  for (const Rate& r : rates) {
    if (r.major != major || r.minor != minor) continue;
    if (dtype == "f64") return r.f64;
    if (dtype == "f32") return r.f32;
    if (dtype == "tf32") return r.tf32;
    if (dtype == "bf16") return r.bf16;
    if (dtype == "f16") return r.f16;
    if (dtype == "int8") return r.int8;
    if (dtype == "fp8") return r.fp8;
  }
  return 0;
}

}  // namespace dlscale::cuda
