// SPDX-License-Identifier: BSD-3-Clause
/// Which convolutions an executor computes by Winograd's algorithm when it may choose.
#pragma once

#include "nn/graph.hpp"

namespace dlscale::nn {

/// F(4×4, 3×3) computes 16 outputs by 36 multiplications instead of 144, but transforms the weights in
/// every pass. Decided by the shape, not by a timing, so that the same seed gives the same bits. Pure.
bool suits_winograd(const Layer& layer, std::int64_t batch);

/// Whether the CPU library has it at all: oneDNN 2.6 with AVX-512 only, 3.7 not on x86-64. Convolutions
/// are direct then.
bool has_winograd();

/// Scratch memory of the layer by Winograd's algorithm, the largest of its passes; 0 where the library
/// has none. Asked of the library: whether it transforms all tiles at once or block by block depends on
/// the processor's caches.
double winograd_scratch_bytes(const Layer& layer, std::int64_t batch, int threads, bool training);

}  // namespace dlscale::nn
