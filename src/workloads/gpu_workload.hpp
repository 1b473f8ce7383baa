// SPDX-License-Identifier: BSD-3-Clause
/// The acting half of GPU variants lives in the GPU module; their pure half is in the program, so that
/// plans for GPUs can be made where there is none.
#pragma once

#include <memory>
#include <string_view>

#include "workloads/contract.hpp"

namespace dlscale {

/// The module's workload of this name. Throws Error(case_failed) where there is no module.
std::unique_ptr<Workload> make_on_gpu(std::string_view name, const WorkContext& context);

/// The module's entry for it: nullptr for a name it does not have. Exceptions pass through.
using GpuMakeFunction = Workload* (*)(const char* name, const WorkContext& context);
constexpr const char* gpu_make_symbol = "dlscale_cuda_make";

}  // namespace dlscale
