// SPDX-License-Identifier: BSD-3-Clause
/// What the GPU executor will hold, without one. Pure.
#pragma once

#include "nn/executor.hpp"

namespace dlscale::nn {

/// Most scratch memory that an algorithm of a library may ask for.
constexpr double gpu_workspace_bytes = 1024.0 * 1024 * 1024;

/// Bytes on the GPU of one program: parameters, state, the tensors of a step by their lifetimes, two
/// batches of images. `scratch` is a bound: algorithms are timed with as much, and keep less.
MemoryEstimate predicted_gpu_memory(const Graph& graph, const ExecutorOptions& options, int batch,
                                    Mode mode);

}  // namespace dlscale::nn
