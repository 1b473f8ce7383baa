// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/fma/fma_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dlscale {
namespace {

#if defined(__x86_64__)

// Enough chains to cover latency × throughput (4–5 cycles × 2 units), few enough to stay in the
// registers: 12 of 16 (SSE, AVX2), 16 of 32 (AVX-512).
#define DLSCALE_UNROLLED(INDEX, COUNT) \
  _Pragma("GCC unroll 32") for (int INDEX = 0; INDEX < (COUNT); ++INDEX)
#define DLSCALE_FMA_KERNEL(NAME, TARGET, VECTOR, SCALAR, SET1, ZERO, STEP, STORE, ACCUMULATORS, LANES) \
  __attribute__((target(TARGET), noinline)) double NAME(std::int64_t iterations, double x_value,       \
                                                        double y_value) {                              \
    const VECTOR x = SET1(static_cast<SCALAR>(x_value)), y = SET1(static_cast<SCALAR>(y_value));       \
    VECTOR v[ACCUMULATORS];                                                                            \
    DLSCALE_UNROLLED(i, ACCUMULATORS) v[i] = ZERO();                                                   \
    for (std::int64_t n = 0; n < iterations; ++n) {                                                    \
      DLSCALE_UNROLLED(i, ACCUMULATORS) v[i] = STEP(v[i], x, y);                                       \
      /* The compiler must not see that all chains are equal. */                                       \
      DLSCALE_UNROLLED(i, ACCUMULATORS) __asm__ volatile("" : "+v"(v[i]));                             \
    }                                                                                                  \
    double sum = 0;                                                                                    \
    /* Unrolled as well: an index at run time would put v into memory, inside the loop above too. */   \
    DLSCALE_UNROLLED(i, ACCUMULATORS) {                                                                \
      SCALAR lanes[LANES];                                                                             \
      STORE(lanes, v[i]);                                                                              \
      for (const SCALAR lane : lanes) sum += static_cast<double>(lane);                                \
    }                                                                                                  \
    return sum;                                                                                        \
  }

__attribute__((target("sse2"))) inline __m128d step_sse(__m128d v, __m128d x, __m128d y) {
  return _mm_add_pd(_mm_mul_pd(v, x), y);
}
__attribute__((target("sse2"))) inline __m128 step_sse(__m128 v, __m128 x, __m128 y) {
  return _mm_add_ps(_mm_mul_ps(v, x), y);
}

DLSCALE_FMA_KERNEL(fma_f64_avx512, "avx512f", __m512d, double, _mm512_set1_pd, _mm512_setzero_pd,
                   _mm512_fmadd_pd, _mm512_storeu_pd, 16, 8)
DLSCALE_FMA_KERNEL(fma_f32_avx512, "avx512f", __m512, float, _mm512_set1_ps, _mm512_setzero_ps,
                   _mm512_fmadd_ps, _mm512_storeu_ps, 16, 16)
DLSCALE_FMA_KERNEL(fma_f64_avx2, "avx2,fma", __m256d, double, _mm256_set1_pd, _mm256_setzero_pd,
                   _mm256_fmadd_pd, _mm256_storeu_pd, 12, 4)
DLSCALE_FMA_KERNEL(fma_f32_avx2, "avx2,fma", __m256, float, _mm256_set1_ps, _mm256_setzero_ps,
                   _mm256_fmadd_ps, _mm256_storeu_ps, 12, 8)
DLSCALE_FMA_KERNEL(fma_f64_sse2, "sse2", __m128d, double, _mm_set1_pd, _mm_setzero_pd, step_sse,
                   _mm_storeu_pd, 12, 2)
DLSCALE_FMA_KERNEL(fma_f32_sse2, "sse2", __m128, float, _mm_set1_ps, _mm_setzero_ps, step_sse,
                   _mm_storeu_ps, 12, 4)
#undef DLSCALE_FMA_KERNEL

// Each of 16 lanes adds two products of bf16 pairs to an f32 sum.
__attribute__((target("avx512f,avx512bf16"), noinline)) double fma_bf16_avx512(std::int64_t iterations,
                                                                               double x_value,
                                                                               double y_value) {
  const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(static_cast<float>(x_value)),
                                         _mm512_set1_ps(static_cast<float>(x_value)));
  const __m512bh y = _mm512_cvtne2ps_pbh(_mm512_set1_ps(static_cast<float>(y_value)),
                                         _mm512_set1_ps(static_cast<float>(y_value)));
  __m512 v[16];
  DLSCALE_UNROLLED(i, 16) v[i] = _mm512_setzero_ps();
  for (std::int64_t n = 0; n < iterations; ++n) {
    DLSCALE_UNROLLED(i, 16) v[i] = _mm512_dpbf16_ps(v[i], x, y);
    DLSCALE_UNROLLED(i, 16) __asm__ volatile("" : "+v"(v[i]));
  }
  double sum = 0;
  DLSCALE_UNROLLED(i, 16) {
    float lanes[16];
    _mm512_storeu_ps(lanes, v[i]);
    for (const float lane : lanes) sum += static_cast<double>(lane);
  }
  return sum;
}
#undef DLSCALE_UNROLLED

#else

// Other processors: vectors of the platform's baseline, written so that the compiler vectorises them.
template <class T>
double fma_portable(std::int64_t iterations, double x_value, double y_value) {
  constexpr int chains = 96;
  const T x = static_cast<T>(x_value), y = static_cast<T>(y_value);
  T v[chains] = {};
  for (std::int64_t n = 0; n < iterations; ++n) {
    for (int i = 0; i < chains; ++i) v[i] = __builtin_fma(v[i], x, y);
    __asm__ volatile("" : : "r"(v) : "memory");
  }
  double sum = 0;
  for (const T value : v) sum += static_cast<double>(value);
  return sum;
}

#endif

}  // namespace

std::vector<FmaKernel> available_fma_kernels(const std::string& dtype) {
  std::vector<FmaKernel> kernels;
  const bool f64 = dtype == "f64";
#if defined(__x86_64__)
  if (dtype == "bf16") {
    if (__builtin_cpu_supports("avx512bf16")) kernels.push_back({"avx512", dtype, 512, fma_bf16_avx512});
    return kernels;
  }
  if (__builtin_cpu_supports("avx512f"))
    kernels.push_back({"avx512", dtype, f64 ? 128 : 256, f64 ? fma_f64_avx512 : fma_f32_avx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back({"avx2", dtype, f64 ? 48 : 96, f64 ? fma_f64_avx2 : fma_f32_avx2});
  kernels.push_back({"sse2", dtype, f64 ? 24 : 48, f64 ? fma_f64_sse2 : fma_f32_sse2});
#else
  if (dtype == "bf16") return kernels;
  kernels.push_back({"portable", dtype, 96, f64 ? fma_portable<double> : fma_portable<float>});
#endif
  return kernels;
}

}  // namespace dlscale
