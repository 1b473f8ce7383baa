// SPDX-License-Identifier: BSD-3-Clause
/// Which convolutions an executor computes by Winograd's algorithm when it may choose.
#pragma once

#include "nn/executor.hpp"
#include "nn/graph.hpp"

namespace dlscale::nn {

/// F(4×4, 3×3) computes 16 outputs by 36 multiplications instead of 144, but transforms the weights in
/// every pass. Decided by the shape, not by a timing, so that the same seed gives the same bits. Pure.
bool suits_winograd(const Layer& layer, std::int64_t batch);

/// Whether the CPU library has it at all: oneDNN 2.6 with AVX-512 only, 3.7 not on x86-64. Convolutions
/// are direct then.
bool has_winograd();
/// Whether it has it for this layer, of any kind.
bool has_winograd(const Layer& layer, std::int64_t batch);

/// Whether an executor computes this layer by it, in all passes: what the options ask for, as far as the
/// library has it. The one rule, for programs, predictions of memory and tolerances alike.
bool by_winograd(const Layer& layer, const ExecutorOptions& options, std::int64_t batch);

/// How much larger a tolerance is where by_winograd(): the transforms amplify rounding (Barabasz et al.
/// 2020, doi 10.1145/3412380).
inline constexpr double winograd_factor = 6;

/// What the layer holds by Winograd's algorithm; 0 where the library has none. Asked of the library:
/// whether it transforms all tiles at once or block by block depends on the processor's caches.
struct WinogradBytes {
  double scratch = 0;  ///< the largest of its passes
  double weights = 0;  ///< as the forward pass reads them: for inference transformed, 4 times as large
};
WinogradBytes winograd_bytes(const Layer& layer, std::int64_t batch, int threads, bool training);

}  // namespace dlscale::nn
