// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include "cuda/nn/device_math.cuh"
#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {
namespace {

constexpr unsigned warp = 32, warps = block_threads / warp, sum_threads = 512;

struct Row {
  double loss;
  int correct;
};

__device__ inline float larger(float a, float b) {  // NaN wins
  return isnan(a) || a > b ? a : b;
}
__device__ inline float warp_max(float v) {
  for (unsigned half = warp / 2; half > 0; half /= 2) v = larger(v, __shfl_xor_sync(~0U, v, half));
  return v;
}
__device__ inline double warp_sum(double v) {
  for (unsigned half = warp / 2; half > 0; half /= 2) v += __shfl_xor_sync(~0U, v, half);
  return v;
}

// One warp per image. Exponentials in f64: there are batch × classes of them only.
template <class T, class G>
__global__ void row_kernel(const T* logits, const std::int32_t* labels, int batch, int classes,
                           G* gradient, Row* rows) {
  const auto n = static_cast<int>(blockIdx.x * warps + threadIdx.x / warp);
  const auto lane = static_cast<int>(threadIdx.x % warp);
  if (n >= batch) return;
  const T* row = logits + static_cast<std::size_t>(n) * classes;
  float largest = -INFINITY;
  for (int k = lane; k < classes; k += warp) largest = larger(wide(row[k]), largest);
  largest = warp_max(largest);
  double sum = 0;
  for (int k = lane; k < classes; k += warp) sum += exp(static_cast<double>(wide(row[k]) - largest));
  sum = warp_sum(sum);
  const int label = labels[n];
  if (lane == 0) {
    const bool known = label >= 0 && label < classes;
    const float own = known ? wide(row[label]) : 0.0F;
    rows[n].loss = known ? log(sum) - static_cast<double>(own - largest) : nan("");
    rows[n].correct = known && own == largest ? 1 : 0;
  }
  if (gradient == nullptr) return;
  G* to = gradient + static_cast<std::size_t>(n) * classes;
  for (int k = lane; k < classes; k += warp) {
    const double share = exp(static_cast<double>(wide(row[k]) - largest)) / sum;
    to[k] = narrow<G>(static_cast<float>((share - (k == label ? 1 : 0)) / batch));
  }
}

__global__ void mean_kernel(const Row* rows, int batch, StepResults* results) {
  __shared__ double loss[sum_threads];
  __shared__ int correct[sum_threads];
  double sum = 0;
  int count = 0;
  for (int n = static_cast<int>(threadIdx.x); n < batch; n += sum_threads) {
    sum += rows[n].loss;
    count += rows[n].correct;
  }
  loss[threadIdx.x] = sum;
  correct[threadIdx.x] = count;
  __syncthreads();
  for (unsigned half = sum_threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      loss[threadIdx.x] += loss[threadIdx.x + half];
      correct[threadIdx.x] += correct[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  results->loss = loss[0] / batch;
  results->correct = correct[0];
}

}  // namespace

std::size_t loss_scratch_bytes(int batch) {
  return sizeof(Row) * static_cast<std::size_t>(batch);
}

void softmax_cross_entropy(Type type, const void* logits, const std::int32_t* labels, int batch,
                           int classes, Type gradient_type, void* gradient, void* rows,
                           StepResults* results, const Stream& stream) {
  auto* own = static_cast<Row*>(rows);
  const unsigned blocks = (static_cast<unsigned>(batch) + warps - 1) / warps;
  with_type(type, [&](auto sample) {
    with_type(gradient_type, [&](auto other) {
      using T = decltype(sample);
      using G = decltype(other);
      row_kernel<<<blocks, block_threads, 0, stream.get()>>>(
          static_cast<const T*>(logits), labels, batch, classes, static_cast<G*>(gradient), own);
      launched();
    });
  });
  mean_kernel<<<1, sum_threads, 0, stream.get()>>>(own, batch, results);
  launched();
}

}  // namespace dlscale::cuda::dnn
