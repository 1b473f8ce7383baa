// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include "cuda/nn/device_math.cuh"
#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {
namespace {

template <class T>
__global__ void begin_kernel(const float* images, const std::int32_t* labels, T* input,
                             std::int32_t* step_labels, unsigned batch, unsigned pixels,
                             unsigned channels, StepInputs values, StepInputs* step_inputs,
                             StepResults* results) {
  const unsigned i = thread_index();
  if (i < batch) step_labels[i] = labels != nullptr ? labels[i] : -1;
  if (i == 0) {
    *step_inputs = values;
    results->loss = nan("");
    results->correct = 0;
    results->broken = 0;
  }
  if (i >= batch * pixels * channels) return;
  const unsigned c = i % channels, p = i / channels % pixels, n = i / channels / pixels;
  input[i] = narrow<T>(images[(static_cast<std::size_t>(n) * channels + c) * pixels + p]);
}

template <class From, class To>
__global__ void convert_kernel(const From* from, To* to, std::size_t count) {
  const std::size_t i = thread_index();
  if (i < count) to[i] = narrow<To>(wide(from[i]));
}

template <class T>
__global__ void bias_relu_kernel(const float* from, const float* bias, bool relu, T* y, unsigned count,
                                 unsigned channels) {
  const unsigned i = thread_index();
  if (i >= count) return;
  float v = from[i];
  if (bias != nullptr) v += bias[i % channels];
  if (relu && v < 0) v = 0;  // NaN stays
  y[i] = narrow<T>(v);
}

template <class T>
__global__ void spread_kernel(const T* row, T* y, unsigned count, unsigned channels) {
  const unsigned i = thread_index();
  if (i < count) y[i] = row[i % channels];
}

// One operation on packs of values, and value by value on what is left of them.
template <class T, class Each>
__global__ void elements_kernel(std::size_t count, Each each) {
  constexpr int v = widest<T>;
  const std::size_t i = thread_index(), packs = count / v;
  if (i < packs) {
    each.template run<v>(i);
  } else if (i - packs < count % v) {
    each.template run<1>(packs * v + (i - packs));
  }
}
template <class T, class Each>
void for_elements(std::size_t count, const Each& each, const Stream& stream) {
  const std::size_t threads = count / widest<T> + count % widest<T>;
  elements_kernel<T><<<blocks_for(threads), block_threads, 0, stream.get()>>>(count, each);
  launched();
}

template <class T>
struct ReluForward {
  const T* x;
  T* y;
  template <int V>
  __device__ void run(std::size_t i) const {
    Pack<T, V> p = load<T, V>(x, i);
#pragma unroll
    for (int k = 0; k < V; ++k)
      if (wide(p.v[k]) < 0) p.v[k] = narrow<T>(0);
    store<T, V>(y, i, p);
  }
};

template <class T>
struct ReluBackward {
  const T *y, *dy;
  T* dx;
  template <int V>
  __device__ void run(std::size_t i) const {
    const Pack<T, V> out = load<T, V>(y, i);
    Pack<T, V> p = load<T, V>(dy, i);
#pragma unroll
    for (int k = 0; k < V; ++k)
      if (!(wide(out.v[k]) > 0)) p.v[k] = narrow<T>(0);
    store<T, V>(dx, i, p);
  }
};

template <class T>
struct Add {
  const T *a, *b;
  T* sum;
  template <int V>
  __device__ void run(std::size_t i) const {
    const Pack<T, V> one = load<T, V>(a, i), other = load<T, V>(b, i);
    Pack<T, V> p;
#pragma unroll
    for (int k = 0; k < V; ++k) p.v[k] = narrow<T>(wide(one.v[k]) + wide(other.v[k]));
    store<T, V>(sum, i, p);
  }
};

// mix64() of device/random.hpp, for the device.
__device__ inline std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Four values share 64 random bits, as on the CPU (nn/onednn/host_ops.cpp).
template <class T>
__global__ void dropout_kernel(const T* from, T* to, std::size_t count, unsigned limit, float scale,
                               std::uint64_t mask, const StepInputs* inputs) {
  const std::size_t four = thread_index();
  std::uint64_t bits = mixed((inputs->dropout_key ^ mask) + four * 0x9e3779b97f4a7c15ULL);
  for (std::size_t i = 4 * four; i < min(4 * four + 4, count); ++i, bits >>= 16)
    to[i] = narrow<T>((bits & 0xffffU) >= limit ? scale * wide(from[i]) : 0.0F);
}

enum class Way { in, out, padded };

// One thread per value of the part; of the whole for Way::padded.
template <class T, Way way>
__global__ void block_kernel(const T* from, T* to, Dims whole, Dims part, int top, int left, int channel,
                             unsigned count) {
  const unsigned i = thread_index();
  if (i >= count) return;
  const Dims& d = way == Way::padded ? whole : part;
  int c = static_cast<int>(i % static_cast<unsigned>(d.c));
  unsigned rest = i / static_cast<unsigned>(d.c);
  int w = static_cast<int>(rest % static_cast<unsigned>(d.w));
  rest /= static_cast<unsigned>(d.w);
  int h = static_cast<int>(rest % static_cast<unsigned>(d.h));
  const auto n = static_cast<std::size_t>(rest / static_cast<unsigned>(d.h));
  if (way == Way::padded) {
    h -= top;
    w -= left;
    const bool inside = h >= 0 && h < part.h && w >= 0 && w < part.w;
    to[i] = inside ? from[((n * part.h + h) * part.w + w) * part.c + c] : narrow<T>(0);
    return;
  }
  h += top;
  w += left;
  c += channel;
  const std::size_t at = ((n * whole.h + h) * whole.w + w) * whole.c + c;
  if (way == Way::out)
    to[i] = from[at];
  else
    to[at] = from[i];
}

template <Way way>
void move_block(Type type, const void* from, void* to, const Dims& whole, const Dims& part, int top,
                int left, int channel, const Stream& stream) {
  const std::size_t count = way == Way::padded ? whole.count() : part.count();
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    block_kernel<T, way><<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(from), static_cast<T*>(to), whole, part, top, left, channel,
        static_cast<unsigned>(count));
    launched();
  });
}

}  // namespace

void begin_step(const float* images, const std::int32_t* labels, Type type, void* input,
                std::int32_t* step_labels, const Dims& dims, const StepInputs& values,
                StepInputs* step_inputs, StepResults* results, const Stream& stream) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    begin_kernel<T><<<blocks_for(dims.count()), block_threads, 0, stream.get()>>>(
        images, labels, static_cast<T*>(input), step_labels, static_cast<unsigned>(dims.n),
        static_cast<unsigned>(dims.h * dims.w), static_cast<unsigned>(dims.c), values, step_inputs,
        results);
    launched();
  });
}

void convert(Type from_type, const void* from, Type to_type, void* to, std::size_t count,
             const Stream& stream) {
  with_type(from_type, [&](auto one) {
    with_type(to_type, [&](auto other) {
      using From = decltype(one);
      using To = decltype(other);
      convert_kernel<<<blocks_for(count), block_threads, 0, stream.get()>>>(
          static_cast<const From*>(from), static_cast<To*>(to), count);
      launched();
    });
  });
}

void bias_relu(const float* from, const float* bias, bool relu, Type type, void* y, unsigned rows,
               unsigned channels, const Stream& stream) {
  const unsigned count = rows * channels;
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    bias_relu_kernel<<<blocks_for(count), block_threads, 0, stream.get()>>>(
        from, bias, relu, static_cast<T*>(y), count, channels);
    launched();
  });
}

void spread_rows(Type type, const void* row, void* y, unsigned rows, unsigned channels,
                 const Stream& stream) {
  const unsigned count = rows * channels;
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    spread_kernel<<<blocks_for(count), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(row), static_cast<T*>(y), count, channels);
    launched();
  });
}

void relu_forward(Type type, const void* x, void* y, std::size_t count, const Stream& stream) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    for_elements<T>(count, ReluForward<T>{static_cast<const T*>(x), static_cast<T*>(y)}, stream);
  });
}

void relu_backward(Type type, const void* y, const void* dy, void* dx, std::size_t count,
                   const Stream& stream) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    for_elements<T>(
        count, ReluBackward<T>{static_cast<const T*>(y), static_cast<const T*>(dy), static_cast<T*>(dx)},
        stream);
  });
}

void add(Type type, const void* a, const void* b, void* sum, std::size_t count, const Stream& stream) {
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    for_elements<T>(
        count, Add<T>{static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(sum)}, stream);
  });
}

void dropout(Type type, const void* from, void* to, std::size_t count, double rate, std::uint64_t mask,
             const StepInputs* inputs, const Stream& stream) {
  const auto limit = static_cast<unsigned>(std::lround(rate * 65536));
  const auto scale = static_cast<float>(1 / (1 - rate));
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    dropout_kernel<<<blocks_for((count + 3) / 4), block_threads, 0, stream.get()>>>(
        static_cast<const T*>(from), static_cast<T*>(to), count, limit, scale, mask, inputs);
    launched();
  });
}

void copy_out(Type type, const void* whole, const Dims& whole_dims, int top, int left, int channel,
              void* part, const Dims& part_dims, const Stream& stream) {
  move_block<Way::out>(type, whole, part, whole_dims, part_dims, top, left, channel, stream);
}

void copy_in(Type type, const void* part, const Dims& part_dims, void* whole, const Dims& whole_dims,
             int top, int left, int channel, const Stream& stream) {
  move_block<Way::in>(type, part, whole, whole_dims, part_dims, top, left, channel, stream);
}

void pad(Type type, const void* part, const Dims& part_dims, void* whole, const Dims& whole_dims,
         int top, int left, const Stream& stream) {
  move_block<Way::padded>(type, part, whole, whole_dims, part_dims, top, left, 0, stream);
}

}  // namespace dlscale::cuda::dnn
