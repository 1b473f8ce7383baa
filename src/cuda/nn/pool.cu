// SPDX-License-Identifier: BSD-3-Clause
// Pools with any padding. Backward by gathering: every input value adds up the windows that it lies in,
// in a fixed order.
#include "cuda/nn/device_math.cuh"
#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {
namespace {

// A pack of channels at one pixel.
struct Place {
  int n, h, w;
  unsigned pack;
};
__device__ inline Place place_of(unsigned i, const Dims& d, unsigned packs) {
  Place p;
  p.pack = i % packs;
  i /= packs;
  p.w = static_cast<int>(i % static_cast<unsigned>(d.w));
  i /= static_cast<unsigned>(d.w);
  p.h = static_cast<int>(i % static_cast<unsigned>(d.h));
  p.n = static_cast<int>(i / static_cast<unsigned>(d.h));
  return p;
}
__device__ inline std::size_t pack_at(const Dims& d, unsigned packs, const Place& p, int h, int w) {
  return ((static_cast<std::size_t>(p.n) * d.h + h) * d.w + w) * packs + p.pack;
}

template <class T, int V>
__global__ void max_forward(const T* x, Dims in, T* y, std::uint16_t* places, Dims out, PoolWindow win,
                            unsigned packs, unsigned count) {
  const unsigned i = thread_index();
  if (i >= count) return;
  const Place p = place_of(i, out, packs);
  float best[V];
  int at[V];
#pragma unroll
  for (int k = 0; k < V; ++k) at[k] = -1;
  for (int r = 0; r < win.kernel_h; ++r) {
    const int h = p.h * win.stride_h - win.pad_top + r;
    if (h < 0 || h >= in.h) continue;
    for (int s = 0; s < win.kernel_w; ++s) {
      const int w = p.w * win.stride_w - win.pad_left + s;
      if (w < 0 || w >= in.w) continue;
      const Pack<T, V> values = load<T, V>(x, pack_at(in, packs, p, h, w));
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const float v = wide(values.v[k]);
        if (at[k] < 0 || v > best[k] || (isnan(v) && !isnan(best[k]))) {
          best[k] = v;
          at[k] = r * win.kernel_w + s;
        }
      }
    }
  }
  Pack<T, V> result;
  Pack<std::uint16_t, V> where;
#pragma unroll
  for (int k = 0; k < V; ++k) {
    result.v[k] = narrow<T>(at[k] < 0 ? -INFINITY : best[k]);
    where.v[k] = static_cast<std::uint16_t>(at[k]);
  }
  store<T, V>(y, i, result);
  if (places != nullptr) store<std::uint16_t, V>(places, i, where);
}

// Windows [first, last) along one axis that see a pixel.
__device__ inline int first_window(int pixel, int pad, int kernel, int stride) {
  const int low = pixel + pad - kernel + 1;
  return low <= 0 ? 0 : (low + stride - 1) / stride;
}
__device__ inline int last_window(int pixel, int pad, int stride, int windows) {
  return min(windows, (pixel + pad) / stride + 1);
}

template <class T, int V>
__global__ void max_backward(const T* dy, const std::uint16_t* places, Dims out, T* dx, Dims in,
                             PoolWindow win, unsigned packs, unsigned count) {
  const unsigned i = thread_index();
  if (i >= count) return;
  const Place p = place_of(i, in, packs);
  float sum[V] = {};
  const int last_h = last_window(p.h, win.pad_top, win.stride_h, out.h);
  const int last_w = last_window(p.w, win.pad_left, win.stride_w, out.w);
  for (int h = first_window(p.h, win.pad_top, win.kernel_h, win.stride_h); h < last_h; ++h)
    for (int w = first_window(p.w, win.pad_left, win.kernel_w, win.stride_w); w < last_w; ++w) {
      const std::size_t at = pack_at(out, packs, p, h, w);
      const int tap =
          (p.h + win.pad_top - h * win.stride_h) * win.kernel_w + p.w + win.pad_left - w * win.stride_w;
      const Pack<std::uint16_t, V> where = load<std::uint16_t, V>(places, at);
      const Pack<T, V> gradient = load<T, V>(dy, at);
#pragma unroll
      for (int k = 0; k < V; ++k)
        if (where.v[k] == tap) sum[k] += wide(gradient.v[k]);
    }
  Pack<T, V> result;
#pragma unroll
  for (int k = 0; k < V; ++k) result.v[k] = narrow<T>(sum[k]);
  store<T, V>(dx, i, result);
}

// Pixels of the input that a window sees, or all its pixels.
__device__ inline float divisor(const PoolWindow& win, const Dims& in, int h, int w, bool include) {
  if (include) return static_cast<float>(win.kernel_h * win.kernel_w);
  const int top = h * win.stride_h - win.pad_top, left = w * win.stride_w - win.pad_left;
  const int high = min(top + win.kernel_h, in.h) - max(top, 0);
  const int wide_ = min(left + win.kernel_w, in.w) - max(left, 0);
  return static_cast<float>(max(high * wide_, 1));
}

template <class T, int V>
__global__ void avg_forward(const T* x, Dims in, T* y, Dims out, PoolWindow win, bool include,
                            unsigned packs, unsigned count) {
  const unsigned i = thread_index();
  if (i >= count) return;
  const Place p = place_of(i, out, packs);
  float sum[V] = {};
  const int top = p.h * win.stride_h - win.pad_top, left = p.w * win.stride_w - win.pad_left;
  const int bottom = min(top + win.kernel_h, in.h), right = min(left + win.kernel_w, in.w);
  for (int h = max(top, 0); h < bottom; ++h)
    for (int w = max(left, 0); w < right; ++w) {
      const Pack<T, V> values = load<T, V>(x, pack_at(in, packs, p, h, w));
#pragma unroll
      for (int k = 0; k < V; ++k) sum[k] += wide(values.v[k]);
    }
  const float below = divisor(win, in, p.h, p.w, include);
  Pack<T, V> result;
#pragma unroll
  for (int k = 0; k < V; ++k) result.v[k] = narrow<T>(sum[k] / below);
  store<T, V>(y, i, result);
}

template <class T, int V>
__global__ void avg_backward(const T* dy, Dims out, T* dx, Dims in, PoolWindow win, bool include,
                             unsigned packs, unsigned count) {
  const unsigned i = thread_index();
  if (i >= count) return;
  const Place p = place_of(i, in, packs);
  float sum[V] = {};
  const int last_h = last_window(p.h, win.pad_top, win.stride_h, out.h);
  const int last_w = last_window(p.w, win.pad_left, win.stride_w, out.w);
  for (int h = first_window(p.h, win.pad_top, win.kernel_h, win.stride_h); h < last_h; ++h)
    for (int w = first_window(p.w, win.pad_left, win.kernel_w, win.stride_w); w < last_w; ++w) {
      const float below = divisor(win, in, h, w, include);
      const Pack<T, V> gradient = load<T, V>(dy, pack_at(out, packs, p, h, w));
#pragma unroll
      for (int k = 0; k < V; ++k) sum[k] += wide(gradient.v[k]) / below;
    }
  Pack<T, V> result;
#pragma unroll
  for (int k = 0; k < V; ++k) result.v[k] = narrow<T>(sum[k]);
  store<T, V>(dx, i, result);
}

// Calls action(T{}, V, packs per pixel, packs in all of `dims`).
template <class Action>
void for_packs(Type type, const Dims& dims, Action&& action) {
  with_pack(type, static_cast<unsigned>(dims.c), [&](auto sample, auto pack) {
    constexpr int v = PackSize<decltype(pack)>::value;
    const auto packs = static_cast<unsigned>(dims.c / v);
    action(sample, pack, packs, dims.rows() * packs);
  });
}

}  // namespace

void max_pool_forward(Type type, const void* x, const Dims& in, void* y, std::uint16_t* places,
                      const Dims& out, const PoolWindow& window, const Stream& stream) {
  for_packs(type, out, [&](auto sample, auto pack, unsigned packs, unsigned count) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    max_forward<T, V><<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(x), in, static_cast<T*>(y), places, out, window, packs, count);
    launched();
  });
}

void max_pool_backward(Type type, const void* dy, const std::uint16_t* places, const Dims& out, void* dx,
                       const Dims& in, const PoolWindow& window, const Stream& stream) {
  for_packs(type, in, [&](auto sample, auto pack, unsigned packs, unsigned count) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    max_backward<T, V><<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(dy), places, out, static_cast<T*>(dx), in, window, packs, count);
    launched();
  });
}

void avg_pool_forward(Type type, const void* x, const Dims& in, void* y, const Dims& out,
                      const PoolWindow& window, bool include_padding, const Stream& stream) {
  for_packs(type, out, [&](auto sample, auto pack, unsigned packs, unsigned count) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    avg_forward<T, V><<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(x), in, static_cast<T*>(y), out, window, include_padding, packs, count);
    launched();
  });
}

void avg_pool_backward(Type type, const void* dy, const Dims& out, void* dx, const Dims& in,
                       const PoolWindow& window, bool include_padding, const Stream& stream) {
  for_packs(type, in, [&](auto sample, auto pack, unsigned packs, unsigned count) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    avg_backward<T, V><<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(dy), out, static_cast<T*>(dx), in, window, include_padding, packs, count);
    launched();
  });
}

}  // namespace dlscale::cuda::dnn
