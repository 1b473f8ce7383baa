// SPDX-License-Identifier: BSD-3-Clause
#include "nn/optimizer_kernels.hpp"

#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dlscale::nn {
namespace {

#if defined(__x86_64__)

// x − x is 0 unless x is NaN or infinite; sums of it stay 0 or become NaN.
bool all_zero(const float* lanes, int count) {
  for (int i = 0; i < count; ++i)
    if (!(lanes[i] == 0)) return false;
  return true;
}

// Memory is the limit (12 to 28 bytes per value), so division and square root are the exact ones.
#define DLSCALE_SGD_KERNEL(NAME, TARGET, VECTOR, P, LANES, FMA)                                      \
  __attribute__((target(TARGET), noinline)) bool NAME(const OptimizerStep& step, std::int64_t count, \
                                                      float* w, const float* g, float* v) {          \
    const VECTOR scale = P##_set1_ps(step.scale), decay = P##_set1_ps(step.decay);                   \
    const VECTOR rate = P##_set1_ps(-step.rate), momentum = P##_set1_ps(step.momentum);              \
    VECTOR odd = P##_setzero_ps();                                                                   \
    for (std::int64_t i = 0; i < count; i += LANES) {                                                \
      const VECTOR weight = P##_loadu_ps(w + i);                                                     \
      VECTOR change = FMA(decay, weight, P##_mul_ps(scale, P##_loadu_ps(g + i)));                    \
      if (v != nullptr) {                                                                            \
        if (!step.first_step) change = FMA(momentum, P##_loadu_ps(v + i), change);                   \
        P##_storeu_ps(v + i, change);                                                                \
      }                                                                                              \
      const VECTOR updated = FMA(rate, change, weight);                                              \
      odd = P##_add_ps(odd, P##_sub_ps(updated, updated));                                           \
      P##_storeu_ps(w + i, updated);                                                                 \
    }                                                                                                \
    float lanes[LANES];                                                                              \
    P##_storeu_ps(lanes, odd);                                                                       \
    return all_zero(lanes, LANES);                                                                   \
  }

#define DLSCALE_ADAM_KERNEL(NAME, TARGET, VECTOR, P, LANES, FMA, SQRT)                                \
  __attribute__((target(TARGET), noinline)) bool NAME(const OptimizerStep& step, std::int64_t count,  \
                                                      float* w, const float* g, float* m, float* v) { \
    const VECTOR scale = P##_set1_ps(step.scale), decay = P##_set1_ps(step.decay);                    \
    const VECTOR rate = P##_set1_ps(-step.rate), root = P##_set1_ps(step.root);                       \
    const VECTOR epsilon = P##_set1_ps(step.epsilon);                                                 \
    const VECTOR beta1 = P##_set1_ps(step.beta1), new1 = P##_set1_ps(step.one_minus_beta1);           \
    const VECTOR beta2 = P##_set1_ps(step.beta2), new2 = P##_set1_ps(step.one_minus_beta2);           \
    VECTOR odd = P##_setzero_ps();                                                                    \
    for (std::int64_t i = 0; i < count; i += LANES) {                                                 \
      const VECTOR weight = P##_loadu_ps(w + i);                                                      \
      const VECTOR gradient = FMA(decay, weight, P##_mul_ps(scale, P##_loadu_ps(g + i)));             \
      const VECTOR mean = FMA(beta1, P##_loadu_ps(m + i), P##_mul_ps(new1, gradient));                \
      const VECTOR square = P##_mul_ps(new2, P##_mul_ps(gradient, gradient));                         \
      const VECTOR squares = FMA(beta2, P##_loadu_ps(v + i), square);                                 \
      P##_storeu_ps(m + i, mean);                                                                     \
      P##_storeu_ps(v + i, squares);                                                                  \
      const VECTOR below = P##_add_ps(P##_div_ps(SQRT(squares), root), epsilon);                      \
      const VECTOR updated = FMA(rate, P##_div_ps(mean, below), weight);                              \
      odd = P##_add_ps(odd, P##_sub_ps(updated, updated));                                            \
      P##_storeu_ps(w + i, updated);                                                                  \
    }                                                                                                 \
    float lanes[LANES];                                                                               \
    P##_storeu_ps(lanes, odd);                                                                        \
    return all_zero(lanes, LANES);                                                                    \
  }

__attribute__((target("sse2"))) inline __m128 fma_sse(__m128 a, __m128 b, __m128 c) {
  return _mm_add_ps(_mm_mul_ps(a, b), c);
}

// As _mm512_sqrt_ps, whose header makes GCC 12 warn.
__attribute__((target("avx512f"))) inline __m512 sqrt_avx512(__m512 a) {
  return _mm512_maskz_sqrt_ps(static_cast<__mmask16>(0xffff), a);
}

DLSCALE_SGD_KERNEL(sgd_avx512, "avx512f", __m512, _mm512, 16, _mm512_fmadd_ps)
DLSCALE_SGD_KERNEL(sgd_avx2, "avx2,fma", __m256, _mm256, 8, _mm256_fmadd_ps)
DLSCALE_SGD_KERNEL(sgd_sse2, "sse2", __m128, _mm, 4, fma_sse)
DLSCALE_ADAM_KERNEL(adam_avx512, "avx512f", __m512, _mm512, 16, _mm512_fmadd_ps, sqrt_avx512)
DLSCALE_ADAM_KERNEL(adam_avx2, "avx2,fma", __m256, _mm256, 8, _mm256_fmadd_ps, _mm256_sqrt_ps)
DLSCALE_ADAM_KERNEL(adam_sse2, "sse2", __m128, _mm, 4, fma_sse, _mm_sqrt_ps)
#undef DLSCALE_SGD_KERNEL
#undef DLSCALE_ADAM_KERNEL

#else

bool sgd_portable(const OptimizerStep& step, std::int64_t count, float* w, const float* g, float* v) {
  float odd = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    float change = step.scale * g[i] + step.decay * w[i];
    if (v != nullptr) v[i] = change = step.first_step ? change : step.momentum * v[i] + change;
    w[i] -= step.rate * change;
    odd += w[i] - w[i];
  }
  return odd == 0;
}

bool adam_portable(const OptimizerStep& step, std::int64_t count, float* w, const float* g, float* m,
                   float* v) {
  float odd = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float gradient = step.scale * g[i] + step.decay * w[i];
    m[i] = step.beta1 * m[i] + step.one_minus_beta1 * gradient;
    v[i] = step.beta2 * v[i] + step.one_minus_beta2 * (gradient * gradient);
    w[i] -= step.rate * (m[i] / (std::sqrt(v[i]) / step.root + step.epsilon));
    odd += w[i] - w[i];
  }
  return odd == 0;
}

#endif

std::vector<OptimizerKernels> find_kernels() {
  std::vector<OptimizerKernels> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) kernels.push_back({"avx512", sgd_avx512, adam_avx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back({"avx2", sgd_avx2, adam_avx2});
  kernels.push_back({"sse2", sgd_sse2, adam_sse2});
#else
  kernels.push_back({"portable", sgd_portable, adam_portable});
#endif
  return kernels;
}

}  // namespace

const std::vector<OptimizerKernels>& available_optimizer_kernels() {
  static const std::vector<OptimizerKernels> kernels = find_kernels();
  return kernels;
}

}  // namespace dlscale::nn
