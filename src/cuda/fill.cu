// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "cuda/fill.hpp"

namespace dlscale::cuda {
namespace {

constexpr int block = 256;

// device/random.hpp, for both sides: its functions are the host's alone.
__host__ __device__ inline std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}
inline std::uint64_t key_of(std::uint64_t seed, std::uint64_t stream) {
  return mixed(mixed(seed + 0x9e3779b97f4a7c15ULL) + stream * 0xd1342543de82ef95ULL);
}
__host__ __device__ inline std::uint64_t random_bits(std::uint64_t key, std::uint64_t index) {
  return mixed(key + index * 0x9e3779b97f4a7c15ULL);
}
__host__ __device__ inline double uniform(std::uint64_t key, std::uint64_t index) {
  const auto bits = static_cast<std::int64_t>(random_bits(key, index) >> 11);
  return static_cast<double>(2 * bits + 1 - (std::int64_t{1} << 53)) * 0x1p-53;
}
__host__ __device__ inline int small_integer(std::uint64_t key, std::uint64_t index) {
  const std::uint64_t bits = random_bits(key, index);
  const int size = 1 + static_cast<int>((bits >> 8) % 127);
  return (bits & 1U) != 0 ? size : -size;
}

template <class T>
struct Convert {
  __host__ __device__ static T from(std::uint64_t key, std::uint64_t i) {
    return static_cast<T>(uniform(key, i));
  }
  __host__ __device__ static double wide(T v) { return static_cast<double>(v); }
};
template <>
struct Convert<__nv_bfloat16> {
  __host__ __device__ static __nv_bfloat16 from(std::uint64_t key, std::uint64_t i) {
    return __double2bfloat16(uniform(key, i));
  }
  __host__ __device__ static double wide(__nv_bfloat16 v) {
    return static_cast<double>(__bfloat162float(v));
  }
};
template <>
struct Convert<__half> {
  __host__ __device__ static __half from(std::uint64_t key, std::uint64_t i) {
    return __double2half(uniform(key, i));
  }
  __host__ __device__ static double wide(__half v) { return static_cast<double>(__half2float(v)); }
};
template <>
struct Convert<__nv_fp8_e4m3> {
  __host__ __device__ static __nv_fp8_e4m3 from(std::uint64_t key, std::uint64_t i) {
    return __nv_fp8_e4m3(uniform(key, i));
  }
  __host__ __device__ static double wide(__nv_fp8_e4m3 v) {
    return static_cast<double>(static_cast<float>(v));
  }
};
template <>
struct Convert<std::int8_t> {
  __host__ __device__ static std::int8_t from(std::uint64_t key, std::uint64_t i) {
    return static_cast<std::int8_t>(small_integer(key, i));
  }
  __host__ __device__ static double wide(std::int8_t v) { return v; }
};
template <>
struct Convert<std::int32_t> {
  __host__ __device__ static std::int32_t from(std::uint64_t key, std::uint64_t i) {
    return small_integer(key, i);
  }
  __host__ __device__ static double wide(std::int32_t v) { return v; }
};

template <class T>
__global__ void fill_kernel(T* values, std::size_t count, std::uint64_t key) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    values[i] = Convert<T>::from(key, i);
}

__device__ inline std::int64_t whole_index(const DealtHere& d, std::int64_t i) {
  return (i / d.block * d.parts + d.part) * d.block + i % d.block;
}

template <class T>
__global__ void fill_dealt_kernel(T* values, DealtHere rows, DealtHere cols, std::int64_t whole_rows,
                                  std::uint64_t key) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < rows.count * cols.count; i += stride) {
    const std::int64_t row = whole_index(rows, i % rows.count), col = whole_index(cols, i / rows.count);
    values[i] = Convert<T>::from(key, static_cast<std::uint64_t>(row + col * whole_rows));
  }
}

template <class T, class W>
__global__ void widen_kernel(const T* from, W* to, std::size_t count) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    to[i] = static_cast<W>(Convert<T>::wide(from[i]));
}

unsigned grid_for(std::size_t count) {
  constexpr std::size_t most = 4096;
  const std::size_t needed = (count + block - 1) / block;
  return static_cast<unsigned>(needed < 1 ? 1 : needed < most ? needed : most);
}

// One call of `action` with the C++ type behind `type`.
template <class Action>
auto with_type(Element type, Action&& action) {
  switch (type) {
    case Element::f64:
      return action(double{});
    case Element::f32:
      return action(float{});
    case Element::bf16:
      return action(__nv_bfloat16{});
    case Element::f16:
      return action(__half{});
    case Element::fp8:
      return action(__nv_fp8_e4m3{});
    case Element::i8:
      return action(std::int8_t{});
    case Element::i32:
      break;
  }
  return action(std::int32_t{});
}

template <class W>
void widen_any(Element type, const void* from, W* to, std::size_t count, const Stream& stream) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    widen_kernel<<<grid_for(count), block, 0, stream.get()>>>(static_cast<const T*>(from), to, count);
    DLSCALE_CUDA(cudaGetLastError());
  });
}

}  // namespace

std::size_t element_bytes(Element type) {
  return with_type(type, [](auto sample) { return sizeof(sample); });
}

void fill_dealt(Element type, void* values, const DealtHere& rows, const DealtHere& cols,
                std::int64_t whole_rows, std::uint64_t seed, std::uint64_t stream_id,
                const Stream& stream) {
  if (rows.count * cols.count == 0) return;
  const unsigned grid = grid_for(static_cast<std::size_t>(rows.count * cols.count));
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    fill_dealt_kernel<<<grid, block, 0, stream.get()>>>(static_cast<T*>(values), rows, cols, whole_rows,
                                                        key_of(seed, stream_id));
    DLSCALE_CUDA(cudaGetLastError());
  });
}

void fill_uniform(Element type, void* values, std::size_t count, std::uint64_t seed,
                  std::uint64_t stream_id, const Stream& stream) {
  const std::uint64_t key = key_of(seed, stream_id);
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    fill_kernel<<<grid_for(count), block, 0, stream.get()>>>(static_cast<T*>(values), count, key);
    DLSCALE_CUDA(cudaGetLastError());
  });
}

double uniform_rounded(Element type, std::uint64_t key, std::uint64_t index) {
  return with_type(type, [&](auto sample) {
    using T = decltype(sample);
    return Convert<T>::wide(Convert<T>::from(key, index));
  });
}

void widen(Element type, const void* from, double* to, std::size_t count, const Stream& stream) {
  widen_any(type, from, to, count, stream);
}
void widen(Element type, const void* from, float* to, std::size_t count, const Stream& stream) {
  widen_any(type, from, to, count, stream);
}

}  // namespace dlscale::cuda
