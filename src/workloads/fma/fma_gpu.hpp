// SPDX-License-Identifier: BSD-3-Clause
/// Work of one repetition of fma on a GPU: enough threads for any chip, about a millisecond.
#pragma once

#include <cstdint>

namespace dlscale {

constexpr std::int64_t fma_gpu_blocks = 4096, fma_gpu_threads = 256, fma_gpu_chains = 8,
                       fma_gpu_steps = 2048;
constexpr double fma_gpu_flops = 2.0 * fma_gpu_blocks * fma_gpu_threads * fma_gpu_chains * fma_gpu_steps;
constexpr double fma_gpu_bytes = 8.0 * fma_gpu_blocks * fma_gpu_threads;

}  // namespace dlscale
