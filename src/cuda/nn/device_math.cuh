// SPDX-License-Identifier: BSD-3-Clause
/// What the kernels share: conversions, packs of neighbouring values, launches.
#pragma once

#include <cuda_bf16.h>

#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/nn/types.hpp"

namespace dlscale::cuda::dnn {

using bf16 = __nv_bfloat16;

__device__ inline float wide(float v) {
  return v;
}
__device__ inline float wide(bf16 v) {
  return __bfloat162float(v);
}
template <class T>
__device__ inline T narrow(float v);
template <>
__device__ inline float narrow<float>(float v) {
  return v;
}
template <>
__device__ inline bf16 narrow<bf16>(float v) {
  return __float2bfloat16(v);
}

/// Neighbouring values, moved by one instruction.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};
template <class T, int V>
__device__ inline Pack<T, V> load(const T* from, std::size_t pack) {
  return reinterpret_cast<const Pack<T, V>*>(from)[pack];
}
template <class T, int V>
__device__ inline void store(T* to, std::size_t pack, const Pack<T, V>& values) {
  reinterpret_cast<Pack<T, V>*>(to)[pack] = values;
}

/// Values in 16 bytes.
template <class T>
constexpr int widest = static_cast<int>(16 / sizeof(T));

/// Calls action(T{}) for the type.
template <class Action>
void with_type(Type type, Action&& action) {
  if (type == Type::bf16)
    action(bf16{});
  else
    action(float{});
}
/// Calls action(T{}, Pack<T, V>{}): V = values in 16 bytes where `channels` is a multiple of it, else 1.
template <class Action>
void with_pack(Type type, unsigned channels, Action&& action) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    if (channels % widest<T> == 0)
      action(sample, Pack<T, widest<T>>{});
    else
      action(sample, Pack<T, 1>{});
  });
}
template <class P>
struct PackSize;
template <class T, int V>
struct PackSize<Pack<T, V>> {
  static constexpr int value = V;
};

constexpr unsigned block_threads = 256;
inline unsigned blocks_for(std::size_t threads) {
  return static_cast<unsigned>(std::max<std::size_t>(1, (threads + block_threads - 1) / block_threads));
}
inline void launched() {
  DLSCALE_CUDA(cudaGetLastError());
}

/// This thread's place in a grid of one dimension.
__device__ inline unsigned thread_index() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

}  // namespace dlscale::cuda::dnn
