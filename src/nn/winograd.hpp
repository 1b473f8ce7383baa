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

/// Whether the options ask for it. A pass for which the library has none is direct all the same. Pure.
bool wants_winograd(const Layer& layer, const ExecutorOptions& options, std::int64_t batch);
/// Whether the forward pass of this layer is computed by it.
bool by_winograd(const Layer& layer, const ExecutorOptions& options, std::int64_t batch);

/// How much larger the tolerance of a pass that it computes is: the transforms amplify rounding
/// (Barabasz et al. 2020, doi 10.1145/3412380). F(4×4, 3×3) of oneDNN 2.6 came to 0.20 of a direct
/// convolution's tolerance at most (docs/networks.md).
inline constexpr double winograd_factor = 2;

/// What the layer holds by Winograd's algorithm; 0 where the library has none. Asked of the library:
/// whether it transforms all tiles at once or block by block depends on the processor's caches.
struct WinogradBytes {
  double scratch = 0;  ///< the largest of its passes
  double weights =
      0;  ///< as the forward pass reads them: for inference transformed, up to 4 times as large
};
WinogradBytes winograd_bytes(const Layer& layer, std::int64_t batch, int threads, bool training);

}  // namespace dlscale::nn
