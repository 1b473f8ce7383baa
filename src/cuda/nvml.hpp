// SPDX-License-Identifier: BSD-3-Clause
/// Energy, clock, temperature and throttling of the selected GPU, by the driver's management library,
/// which is loaded at run time. NVML API Reference Guide; its header is in no package of the toolkit.
#pragma once

#include <string>

#include "device/gpu_module.hpp"

namespace dlscale::cuda {

/// Of the selected device; all NaN where the library or the device does not tell.
GpuSensors sensors();
/// Why there are none; empty when there are.
const std::string& sensors_missing();

}  // namespace dlscale::cuda
