// SPDX-License-Identifier: BSD-3-Clause
// Batch norms. Floor of the training pass: x is read twice and y written; backward: x and dy are read
// twice and dx written. The first reading is that of the sums (column_sums.cu).
#include "cuda/nn/norm_math.cuh"

namespace dlscale::cuda::dnn {
namespace {

// A thread keeps its channels' factors over several rows.
template <class T, int V>
__global__ void apply_kernel(const T* x, T* y, unsigned rows, unsigned packs, NormLayer layer,
                             const float* means, const float* variances) {
  const unsigned channel_pack = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel_pack >= packs) return;
  const FactorsOf<V> all = factors<V>(layer, means, variances, channel_pack);
#pragma unroll 4
  for (unsigned r = blockIdx.y * blockDim.y + threadIdx.y; r < rows; r += gridDim.y * blockDim.y) {
    const std::size_t i = static_cast<std::size_t>(r) * packs + channel_pack;
    Pack<T, V> p = load<T, V>(x, i);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      float v = all.f[k].of(wide(p.v[k]));
      if (layer.relu && v < 0) v = 0;
      p.v[k] = narrow<T>(v);
    }
    store<T, V>(y, i, p);
  }
}

template <class T, int V>
__global__ void backward_kernel(const T* x, const T* dy, T* dx, unsigned rows, unsigned packs,
                                NormLayer layer, const float* dgamma, const float* dbeta,
                                float inverse_rows) {
  const unsigned channel_pack = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel_pack >= packs) return;
  const FactorsOf<V> all = factors<V>(layer, layer.mean, layer.variance, channel_pack);
  float of_gamma[V], of_beta[V];
#pragma unroll
  for (int k = 0; k < V; ++k) {
    of_gamma[k] = inverse_rows * dgamma[channel_pack * V + static_cast<unsigned>(k)];
    of_beta[k] = inverse_rows * dbeta[channel_pack * V + static_cast<unsigned>(k)];
  }
#pragma unroll 4
  for (unsigned r = blockIdx.y * blockDim.y + threadIdx.y; r < rows; r += gridDim.y * blockDim.y) {
    const std::size_t i = static_cast<std::size_t>(r) * packs + channel_pack;
    const Pack<T, V> p = load<T, V>(x, i), g = load<T, V>(dy, i);
    Pack<T, V> out;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const Factors& f = all.f[k];
      const float value = wide(p.v[k]), normalised = (value - f.mean) * f.inverse;
      const float d = layer.relu && !(f.of(value) > 0) ? 0.0F : wide(g.v[k]);
      out.v[k] = narrow<T>(f.scale * (d - of_beta[k] - normalised * of_gamma[k]));
    }
    store<T, V>(dx, i, out);
  }
}

// About eight rows per thread.
dim3 grid_of_rows(const Tiling& t, unsigned rows) {
  return {t.tiles, std::clamp((rows + 8 * t.high - 1) / (8 * t.high), 1U, 65535U)};
}

void apply(Type type, const void* x, void* y, unsigned rows, unsigned channels, const NormLayer& layer,
           const float* means, const float* variances, const Stream& stream) {
  with_pack(type, channels, [&](auto sample, auto pack) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    const Tiling t = tiling_of(rows, channels / V);
    apply_kernel<T, V><<<grid_of_rows(t, rows), dim3(t.wide, t.high), 0, stream.get()>>>(
        static_cast<const T*>(x), static_cast<T*>(y), rows, channels / V, layer, means, variances);
    launched();
  });
}

}  // namespace

void norm_training(Type type, const void* x, void* y, unsigned rows, unsigned channels,
                   const NormLayer& layer, void* scratch, const Stream& stream) {
  norm_statistics(type, x, rows, channels, layer, scratch, stream);
  apply(type, x, y, rows, channels, layer, layer.mean, layer.variance, stream);
}

void norm_inference(Type type, const void* x, void* y, unsigned rows, unsigned channels,
                    const NormLayer& layer, const Stream& stream) {
  apply(type, x, y, rows, channels, layer, layer.running_mean, layer.running_variance, stream);
}

void norm_backward(Type type, const void* x, const void* dy, void* dx, unsigned rows, unsigned channels,
                   const NormLayer& layer, float* dgamma, float* dbeta, void* scratch,
                   const Stream& stream) {
  norm_gradients(type, x, dy, rows, channels, layer, dgamma, dbeta, scratch, stream);
  if (dx == nullptr) return;
  with_pack(type, channels, [&](auto sample, auto pack) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    const Tiling t = tiling_of(rows, channels / V);
    backward_kernel<T, V><<<grid_of_rows(t, rows), dim3(t.wide, t.high), 0, stream.get()>>>(
        static_cast<const T*>(x), static_cast<const T*>(dy), static_cast<T*>(dx), rows, channels / V,
        layer, dgamma, dbeta, 1.0F / static_cast<float>(rows));
    launched();
  });
}

}  // namespace dlscale::cuda::dnn
