// SPDX-License-Identifier: BSD-3-Clause
/// The GPU this process works on.
#pragma once

#include <cstddef>
#include <string>

#include "cuda/check.hpp"

namespace dlscale::cuda {

/// Once, before anything is made on a device.
void select_device(int device);

/// Facts of the selected device, read once.
struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  std::size_t l2_bytes = 0, memory_bytes = 0;
  double boost_hz = 0;  ///< of the multiprocessors, as the driver says; 0 unknown
};
const DeviceFacts& device_facts();

/// Dense operations per clock and multiprocessor (multiplication and addition are two) of the fastest
/// unit for a type: f64 f32 tf32 bf16 f16 int8 fp8; 0 where it is not known. From NVIDIA's architecture
/// papers (A100, H100, L40S) and data sheets (B200).
double operations_per_clock(int major, int minor, const std::string& dtype);

}  // namespace dlscale::cuda
