// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.hpp"
#include "cuda/nccl_reducer.hpp"
#include "cuda/nn/gpu_executor.hpp"
#include "workloads/network_gpu.hpp"
#include "workloads/train/train_run.hpp"

namespace dlscale {
namespace {

// Gradients stay on their GPUs; empty: they are summed by MPI on the host.
MakeReducer reducer_of(const Params& params) {
  if (params.text("implementation") != "nccl") return {};
  const bool overlap = params.text("overlap") != "none";
  return [overlap](const Communicator& comm, nn::Executor& executor) {
    auto* gpu = dynamic_cast<cuda::dnn::GpuExecutor*>(&executor);
    if (gpu == nullptr)
      throw Error(ExitCode::case_failed, "gradients can't be summed by NCCL", "they are not on a GPU");
    gpu->reduce_on_device(true);
    return cuda::make_nccl_reducer(comm, *gpu, overlap);
  };
}

}  // namespace

std::unique_ptr<Workload> make_train_cuda(const WorkContext& context) {
  return std::make_unique<TrainRun>(context, cuda::dnn::make_gpu_executor,
                                    gpu_network_device(context.params), reducer_of(context.params));
}

}  // namespace dlscale
