// SPDX-License-Identifier: BSD-3-Clause
// Sums over the rows of rows × channels in two stages, without atomics: blocks add up a part of the rows
// each, then one block adds up what they have for 32 channels, in f64.
#include "cuda/nn/norm_math.cuh"

namespace dlscale::cuda::dnn {
namespace {

constexpr unsigned finish_lanes = 32, finish_rows = 16;

struct Pair {
  float a, b;
};

// What is summed: two values per channel. begin() is called once for a thread's channels.
template <class T>
struct Values {  // Σ x
  const T* x;
  template <int V>
  __device__ int begin(unsigned) const {
    return 0;
  }
  template <int V>
  __device__ void run(std::size_t pack, int, Pair (&sum)[V]) const {
    const Pack<T, V> p = load<T, V>(x, pack);
#pragma unroll
    for (int k = 0; k < V; ++k) sum[k].a += wide(p.v[k]);
  }
};

// The mean of a channel's first values: near enough to the channel's own that Σ (x − shift)² loses
// nothing when the mean is taken off it. One value alone may lie far out.
template <class T, int V>
__device__ inline Pack<float, V> shift_of(const T* x, unsigned rows, unsigned packs,
                                          unsigned channel_pack) {
  constexpr unsigned most = 8;
  const unsigned count = rows < most ? rows : most;
  Pack<float, V> sum{};
  for (unsigned r = 0; r < count; ++r) {
    const Pack<T, V> p = load<T, V>(x, static_cast<std::size_t>(r) * packs + channel_pack);
#pragma unroll
    for (int k = 0; k < V; ++k) sum.v[k] += wide(p.v[k]);
  }
#pragma unroll
  for (int k = 0; k < V; ++k) sum.v[k] /= static_cast<float>(count);
  return sum;
}

template <class T>
struct Moments {  // Σ (x − shift), Σ (x − shift)²
  const T* x;
  unsigned rows, channels;
  template <int V>
  __device__ Pack<float, V> begin(unsigned channel_pack) const {
    return shift_of<T, V>(x, rows, channels / V, channel_pack);
  }
  template <int V>
  __device__ void run(std::size_t pack, const Pack<float, V>& shift, Pair (&sum)[V]) const {
    const Pack<T, V> p = load<T, V>(x, pack);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float d = wide(p.v[k]) - shift.v[k];
      sum[k].a += d;
      sum[k].b = fmaf(d, d, sum[k].b);
    }
  }
};

template <class T>
struct Gradients {  // Σ dy, Σ dy·x̂ behind the ReLU
  const T *x, *dy;
  NormLayer layer;
  template <int V>
  __device__ FactorsOf<V> begin(unsigned channel_pack) const {
    return factors<V>(layer, layer.mean, layer.variance, channel_pack);
  }
  template <int V>
  __device__ void run(std::size_t pack, const FactorsOf<V>& all, Pair (&sum)[V]) const {
    const Pack<T, V> p = load<T, V>(x, pack), g = load<T, V>(dy, pack);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const Factors& f = all.f[k];
      const float value = wide(p.v[k]);
      const float d = layer.relu && !(f.of(value) > 0) ? 0.0F : wide(g.v[k]);
      sum[k].a += d;
      sum[k].b = fmaf(d, (value - f.mean) * f.inverse, sum[k].b);
    }
  }
};

template <int V, class What>
__global__ void part_kernel(What what, unsigned rows, unsigned packs, Pair* parts) {
  __shared__ Pair shared[block_threads * V];
  const unsigned channel_pack = blockIdx.x * blockDim.x + threadIdx.x;
  Pair sum[V] = {};
  if (channel_pack < packs) {
    const auto state = what.template begin<V>(channel_pack);
    const unsigned step = gridDim.y * blockDim.y;
#pragma unroll 4
    for (unsigned r = blockIdx.y * blockDim.y + threadIdx.y; r < rows; r += step)
      what.template run<V>(static_cast<std::size_t>(r) * packs + channel_pack, state, sum);
  }
#pragma unroll
  for (int k = 0; k < V; ++k)
    shared[(threadIdx.y * blockDim.x + threadIdx.x) * V + static_cast<unsigned>(k)] = sum[k];
  __syncthreads();
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    if (threadIdx.y < half)
#pragma unroll
      for (int k = 0; k < V; ++k) {
        Pair& own = shared[(threadIdx.y * blockDim.x + threadIdx.x) * V + static_cast<unsigned>(k)];
        const Pair& other =
            shared[((threadIdx.y + half) * blockDim.x + threadIdx.x) * V + static_cast<unsigned>(k)];
        own.a += other.a;
        own.b += other.b;
      }
    __syncthreads();
  }
  if (threadIdx.y == 0 && channel_pack < packs)
#pragma unroll
    for (int k = 0; k < V; ++k)
      parts[(static_cast<std::size_t>(blockIdx.y) * packs + channel_pack) * V +
            static_cast<unsigned>(k)] = shared[threadIdx.x * V + static_cast<unsigned>(k)];
}

// What becomes of the two sums of a channel.
struct KeepFirst {
  float* sums;
  __device__ void operator()(unsigned c, double a, double) const { sums[c] = static_cast<float>(a); }
};
struct KeepGradients {
  float *dgamma, *dbeta;
  __device__ void operator()(unsigned c, double a, double b) const {
    dbeta[c] = static_cast<float>(a);
    dgamma[c] = static_cast<float>(b);
  }
};
template <class T>
struct KeepStatistics {
  const T* x;
  unsigned rows, channels;
  NormLayer layer;
  __device__ void operator()(unsigned c, double a, double b) const {
    const double m = a / rows;
    const auto mean =
        static_cast<float>(static_cast<double>(shift_of<T, 1>(x, rows, channels, c).v[0]) + m);
    const double spread = b / rows - m * m;
    const auto variance = static_cast<float>(spread < 0 ? 0 : spread);  // NaN stays
    const auto unbiased = static_cast<float>(rows > 1 ? static_cast<double>(rows) / (rows - 1.0) : 1.0);
    layer.mean[c] = mean;
    layer.variance[c] = variance;
    layer.running_mean[c] += layer.momentum * (mean - layer.running_mean[c]);
    layer.running_variance[c] += layer.momentum * (unbiased * variance - layer.running_variance[c]);
  }
};

template <class Keep>
__global__ void finish_kernel(const Pair* parts, unsigned count, unsigned channels, Keep keep) {
  __shared__ double a[finish_rows][finish_lanes], b[finish_rows][finish_lanes];
  const unsigned c = blockIdx.x * finish_lanes + threadIdx.x;
  double sum_a = 0, sum_b = 0;
  if (c < channels)
    for (unsigned p = threadIdx.y; p < count; p += finish_rows) {
      const Pair part = parts[static_cast<std::size_t>(p) * channels + c];
      sum_a += static_cast<double>(part.a);
      sum_b += static_cast<double>(part.b);
    }
  a[threadIdx.y][threadIdx.x] = sum_a;
  b[threadIdx.y][threadIdx.x] = sum_b;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  for (unsigned r = 1; r < finish_rows; ++r) {
    sum_a += a[r][threadIdx.x];
    sum_b += b[r][threadIdx.x];
  }
  keep(c, sum_a, sum_b);
}

template <int V, class What, class Keep>
void sum_columns(const What& what, unsigned rows, unsigned channels, const Keep& keep, void* scratch,
                 const Stream& stream) {
  const unsigned packs = channels / V;
  const Tiling t = tiling_of(rows, packs);
  auto* parts = static_cast<Pair*>(scratch);
  part_kernel<V>
      <<<dim3(t.tiles, t.parts), dim3(t.wide, t.high), 0, stream.get()>>>(what, rows, packs, parts);
  launched();
  finish_kernel<<<(channels + finish_lanes - 1) / finish_lanes, dim3(finish_lanes, finish_rows), 0,
                  stream.get()>>>(parts, t.parts, channels, keep);
  launched();
}

}  // namespace

// By values one by one: more than by packs.
std::size_t sums_scratch_bytes(unsigned rows, unsigned channels) {
  std::size_t most = 0;
  for (const unsigned v : {1U, 4U, 8U})
    if (channels % v == 0)
      most = std::max(most, sizeof(Pair) * channels * tiling_of(rows, channels / v).parts);
  return most;
}

void column_sums(Type type, const void* x, unsigned rows, unsigned channels, float* sums, void* scratch,
                 const Stream& stream) {
  with_pack(type, channels, [&](auto sample, auto pack) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    sum_columns<V>(Values<T>{static_cast<const T*>(x)}, rows, channels, KeepFirst{sums}, scratch,
                   stream);
  });
}

void norm_statistics(Type type, const void* x, unsigned rows, unsigned channels, const NormLayer& layer,
                     void* scratch, const Stream& stream) {
  with_pack(type, channels, [&](auto sample, auto pack) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    const auto* from = static_cast<const T*>(x);
    sum_columns<V>(Moments<T>{from, rows, channels}, rows, channels,
                   KeepStatistics<T>{from, rows, channels, layer}, scratch, stream);
  });
}

void norm_gradients(Type type, const void* x, const void* dy, unsigned rows, unsigned channels,
                    const NormLayer& layer, float* dgamma, float* dbeta, void* scratch,
                    const Stream& stream) {
  with_pack(type, channels, [&](auto sample, auto pack) {
    using T = decltype(sample);
    constexpr int V = PackSize<decltype(pack)>::value;
    sum_columns<V>(Gradients<T>{static_cast<const T*>(x), static_cast<const T*>(dy), layer}, rows,
                   channels, KeepGradients{dgamma, dbeta}, scratch, stream);
  });
}

}  // namespace dlscale::cuda::dnn
