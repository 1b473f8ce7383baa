// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/gpu_workload.hpp"

#include <string>

#include "base/error.hpp"
#include "device/gpu_module.hpp"

namespace dlscale {

std::unique_ptr<Workload> make_on_gpu(std::string_view name, const WorkContext& context) {
  const auto make = reinterpret_cast<GpuMakeFunction>(gpu_symbol(gpu_make_symbol));
  if (make == nullptr) throw Error(ExitCode::case_failed, probe_gpus().why);
  std::unique_ptr<Workload> workload(make(std::string(name).c_str(), context));
  if (!workload)
    throw Error(ExitCode::case_failed, "the GPU module has no '" + std::string(name) + "'",
                "it was built without it", "build it anew");
  return workload;
}

}  // namespace dlscale
