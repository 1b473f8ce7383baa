// SPDX-License-Identifier: BSD-3-Clause
/// What the sums over the rows of rows × channels and the kernels of a batch norm share.
#pragma once

#include "cuda/nn/device_math.cuh"
#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {

/// Threads of a block: `wide` of them next to one another along the channels, `high` along the rows.
struct Tiling {
  unsigned wide, high;
  unsigned tiles;  ///< blocks along the channels
  unsigned parts;  ///< blocks along the rows, for sums
};
constexpr unsigned most_parts = 512;
inline Tiling tiling_of(unsigned rows, unsigned packs) {
  unsigned wide = 1;
  while (wide < packs && wide < 32) wide *= 2;
  Tiling t{wide, block_threads / wide, (packs + wide - 1) / wide, 1};
  // Every thread adds up at least four rows.
  const unsigned useful = (rows + 4 * t.high - 1) / (4 * t.high);
  t.parts = std::max(1U, std::min({useful, most_parts, 2048 / std::min(t.tiles, 2048U)}));
  return t;
}

/// A channel's factors; the same expression forward and backward, so that both see the same ReLU.
struct Factors {
  float mean, inverse, scale, beta;
  __device__ float of(float x) const { return fmaf(x - mean, scale, beta); }
};
template <int V>
struct FactorsOf {
  Factors f[V];
};
template <int V>
__device__ inline FactorsOf<V> factors(const NormLayer& l, const float* means, const float* variances,
                                       unsigned channel_pack) {
  FactorsOf<V> all;
#pragma unroll
  for (int k = 0; k < V; ++k) {
    const unsigned c = channel_pack * V + static_cast<unsigned>(k);
    const float inverse = 1 / sqrtf(variances[c] + l.epsilon);
    all.f[k] = {means[c], inverse, l.gamma[c] * inverse, l.beta[c]};
  }
  return all;
}

/// The two sums of a batch norm over all rows: mean and variance of the batch with the running ones
/// behind them, and dγ and dβ. `scratch`: sums_scratch_bytes().
void norm_statistics(Type type, const void* x, unsigned rows, unsigned channels, const NormLayer& layer,
                     void* scratch, const Stream& stream);
void norm_gradients(Type type, const void* x, const void* dy, unsigned rows, unsigned channels,
                    const NormLayer& layer, float* dgamma, float* dbeta, void* scratch,
                    const Stream& stream);

}  // namespace dlscale::cuda::dnn
