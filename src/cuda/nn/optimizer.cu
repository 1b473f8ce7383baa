// SPDX-License-Identifier: BSD-3-Clause
// Floor: every array once, 12 to 28 bytes per value, and 2 more for the copy in bf16.
#include "cuda/nn/device_math.cuh"
#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {
namespace {

constexpr int lanes = 4;
using Four = Pack<float, lanes>;

// x − x is 0 unless x is NaN or infinite.
__device__ inline void finish(std::size_t i, const Four& updated, float* w, bf16* copy,
                              StepResults* results) {
  store<float, lanes>(w, i, updated);
  float odd = 0;
  Pack<bf16, lanes> small;
#pragma unroll
  for (int k = 0; k < lanes; ++k) {
    odd += updated.v[k] - updated.v[k];
    small.v[k] = narrow<bf16>(updated.v[k]);
  }
  if (copy != nullptr) store<bf16, lanes>(copy, i, small);
  if (!(odd == 0)) results->broken = 1;  // whoever comes first, all write the same
}

__global__ void sgd_kernel(const StepInputs* inputs, float scale, std::size_t packs, float* w,
                           const float* g, float* v, bf16* copy, StepResults* results) {
  const std::size_t i = thread_index();
  if (i >= packs) return;
  const nn::OptimizerStep s = inputs->optimizer;
  Four weight = load<float, lanes>(w, i), state;
  const Four gradient = load<float, lanes>(g, i);
  if (v != nullptr) state = load<float, lanes>(v, i);
#pragma unroll
  for (int k = 0; k < lanes; ++k) {
    float change = fmaf(s.decay, weight.v[k], scale * gradient.v[k]);
    if (v != nullptr) {
      if (!s.first_step) change = fmaf(s.momentum, state.v[k], change);
      state.v[k] = change;
    }
    weight.v[k] = fmaf(-s.rate, change, weight.v[k]);
  }
  if (v != nullptr) store<float, lanes>(v, i, state);
  finish(i, weight, w, copy, results);
}

__global__ void adam_kernel(const StepInputs* inputs, float scale, std::size_t packs, float* w,
                            const float* g, float* m, float* v, bf16* copy, StepResults* results) {
  const std::size_t i = thread_index();
  if (i >= packs) return;
  const nn::OptimizerStep s = inputs->optimizer;
  Four weight = load<float, lanes>(w, i), mean = load<float, lanes>(m, i),
       squares = load<float, lanes>(v, i);
  const Four gradient = load<float, lanes>(g, i);
#pragma unroll
  for (int k = 0; k < lanes; ++k) {
    const float own = fmaf(s.decay, weight.v[k], scale * gradient.v[k]);
    mean.v[k] = fmaf(s.beta1, mean.v[k], s.one_minus_beta1 * own);
    squares.v[k] = fmaf(s.beta2, squares.v[k], s.one_minus_beta2 * (own * own));
    const float below = sqrtf(squares.v[k]) / s.root + s.epsilon;
    weight.v[k] = fmaf(-s.rate, mean.v[k] / below, weight.v[k]);
  }
  store<float, lanes>(m, i, mean);
  store<float, lanes>(v, i, squares);
  finish(i, weight, w, copy, results);
}

}  // namespace

void sgd_update(const StepInputs* inputs, float scale, std::size_t count, float* w, const float* g,
                float* v, void* copy, StepResults* results, const Stream& stream) {
  const std::size_t packs = count / lanes;
  if (packs == 0) return;
  sgd_kernel<<<blocks_for(packs), block_threads, 0, stream.get()>>>(inputs, scale, packs, w, g, v,
                                                                    static_cast<bf16*>(copy), results);
  launched();
}

void adam_update(const StepInputs* inputs, float scale, std::size_t count, float* w, const float* g,
                 float* m, float* v, void* copy, StepResults* results, const Stream& stream) {
  const std::size_t packs = count / lanes;
  if (packs == 0) return;
  adam_kernel<<<blocks_for(packs), block_threads, 0, stream.get()>>>(inputs, scale, packs, w, g, m, v,
                                                                     static_cast<bf16*>(copy), results);
  launched();
}

}  // namespace dlscale::cuda::dnn
