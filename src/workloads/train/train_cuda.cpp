// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/gpu_executor.hpp"
#include "workloads/network_gpu.hpp"
#include "workloads/train/train_run.hpp"

namespace dlscale {

std::unique_ptr<Workload> make_train_cuda(const WorkContext& context) {
  return std::make_unique<TrainRun>(context, cuda::dnn::make_gpu_executor,
                                    gpu_network_device(context.params));
}

}  // namespace dlscale
