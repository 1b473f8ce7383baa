// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/gpu_executor.hpp"
#include "workloads/infer/infer.hpp"
#include "workloads/network_gpu.hpp"

namespace dlscale {

std::unique_ptr<Workload> make_infer_cuda(const WorkContext& context) {
  return std::make_unique<InferRun>(context, cuda::dnn::make_gpu_executor,
                                    gpu_network_device(context.params));
}

}  // namespace dlscale
