// SPDX-License-Identifier: BSD-3-Clause
/// Gradients summed by NCCL where they are, bucket after bucket.
#pragma once

#include <memory>

#include "comm/communicator.hpp"
#include "cuda/nn/gpu_executor.hpp"
#include "nn/gradient_reducer.hpp"

namespace dlscale::cuda {

/// `overlap`: every bucket's sum starts when its gradients are there, beside the rest of the backward
/// pass; else all of them after it. `executor` is prepared, reduces on the device and outlives the
/// result. Its times are the device's, carried over to the clock of the host when the last sum was seen
/// to be done.
/// @note Collective over `comm`, as shared_nccl().
std::unique_ptr<nn::GradientReducer> make_nccl_reducer(const Communicator& comm,
                                                       dnn::GpuExecutor& executor, bool overlap);

}  // namespace dlscale::cuda
