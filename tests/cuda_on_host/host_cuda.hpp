// SPDX-License-Identifier: BSD-3-Clause
/// Kernels as functions of the host: every thread of a block is a fiber that gives way at barriers.
/// Slow, and blind to races, but indices, layouts and formulas are those of the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdint>
#include <functional>

#undef __shared__
#define __shared__ static

namespace host_cuda {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
void launch(dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            const std::function<void()>& kernel);
void barrier();
/// Value of the thread whose index in the block is this one's ^ mask.
std::uint64_t exchange(std::uint64_t bits, unsigned mask);

}  // namespace host_cuda

extern host_cuda::Index threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() {
  host_cuda::barrier();
}
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
  std::uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = host_cuda::exchange(bits, mask);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}
using std::isnan;
