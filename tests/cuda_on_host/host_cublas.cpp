// SPDX-License-Identifier: BSD-3-Clause
// The calls of cuBLASLt that the executor makes, by their definitions: sums in float64, rounded once.
// Its descriptors hold a few 64-bit words, which are ours here.
#include <cublasLt.h>
#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>

namespace {

struct Matmul {
  std::int32_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N;
};
// What an algorithm may rely on, kept in it.
struct Preference {
  std::uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256,
                reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  bool refused = false;  ///< offered, but not executed
};
struct Matrix {
  cudaDataType_t type;
  std::uint64_t rows, cols;
  std::int64_t leading;
  double get(const void* p, std::uint64_t r, std::uint64_t c) const {
    const std::size_t i = r + c * static_cast<std::uint64_t>(leading);
    if (type == CUDA_R_32F) return static_cast<double>(static_cast<const float*>(p)[i]);
    return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]));
  }
  void put(void* p, std::uint64_t r, std::uint64_t c, double value) const {
    const std::size_t i = r + c * static_cast<std::uint64_t>(leading);
    if (type == CUDA_R_32F)
      static_cast<float*>(p)[i] = static_cast<float>(value);
    else
      static_cast<__nv_bfloat16*>(p)[i] = __float2bfloat16(static_cast<float>(value));
  }
};
double scalar(const void* p) {
  return static_cast<double>(*static_cast<const float*>(p));
}
template <class To, class From>
To* as(From* p) {
  return reinterpret_cast<To*>(p);
}

}  // namespace

extern "C" {

const char* cublasLtGetStatusName(cublasStatus_t) {
  return "cublas";
}
const char* cublasLtGetStatusString(cublasStatus_t) {
  return "from the stand-in of cuBLASLt";
}
std::size_t cublasLtGetVersion() {
  return CUBLAS_VERSION;
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* h) {
  *h = as<cublasLtContext>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t h) {
  delete as<int>(h);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t, cudaDataType_t) {
  *d = as<cublasLtMatmulDescOpaque_t>(new Matmul);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete as<Matmul>(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t which, const void* value,
                                              std::size_t bytes) {
  std::int32_t& to =
      which == CUBLASLT_MATMUL_DESC_TRANSA ? as<Matmul>(d)->trans_a : as<Matmul>(d)->trans_b;
  if (bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* l, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t cols, std::int64_t leading) {
  *l = as<cublasLtMatrixLayoutOpaque_t>(new Matrix{type, rows, cols, leading});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete as<Matrix>(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  *p = as<cublasLtMatmulPreferenceOpaque_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete as<Preference>(p);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void* value, std::size_t bytes) {
  Preference& own = *as<Preference>(p);
  std::uint32_t* to = which == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES   ? &own.alignment_a
                      : which == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES ? &own.alignment_b
                      : which == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES ? &own.alignment_c
                      : which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK ? &own.reductions
                                                                            : nullptr;
  if (to == nullptr) return CUBLAS_STATUS_SUCCESS;
  if (bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t p, int,
                                              cublasLtMatmulHeuristicResult_t results[], int* count) {
  Preference own = *as<Preference>(p);
  own.refused = true;
  for (int i = 0; i < 2; ++i, own.refused = false) {
    results[i] = {};
    results[i].state = CUBLAS_STATUS_SUCCESS;
    std::memcpy(&results[i].algo, &own, sizeof own);
  }
  *count = 2;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t*,
                                                    cublasLtMatmulAlgoConfigAttributes_t, void* value,
                                                    std::size_t bytes, std::size_t*) {
  std::memset(value, 0, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_, const void* b, cublasLtMatrixLayout_t b_,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_, void* to,
                              cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t* algorithm, void*,
                              std::size_t, cudaStream_t) {
  const Matrix &ma = *as<const Matrix>(a_), &mb = *as<const Matrix>(b_), &mc = *as<const Matrix>(c_);
  const bool ta = as<Matmul>(d)->trans_a == CUBLAS_OP_T, tb = as<Matmul>(d)->trans_b == CUBLAS_OP_T;
  const std::uint64_t depth = ta ? ma.rows : ma.cols;
  if ((ta ? ma.cols : ma.rows) != mc.rows || (tb ? mb.rows : mb.cols) != mc.cols ||
      (tb ? mb.cols : mb.rows) != depth || scalar(beta) != 0 || c != to)
    return CUBLAS_STATUS_INVALID_VALUE;
  Preference promised;
  std::memcpy(&promised, algorithm, sizeof promised);
  if (promised.refused) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto lies_on = [](const void* p, std::uint32_t bytes) {
    return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
  };
  if (!lies_on(a, promised.alignment_a) || !lies_on(b, promised.alignment_b) ||
      !lies_on(c, promised.alignment_c))
    return CUBLAS_STATUS_INVALID_VALUE;
  // Where it may, k is split into single products, each rounded to C's type.
  const bool rounds = (promised.reductions & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE) != 0;
  for (std::uint64_t j = 0; j < mc.cols; ++j)
    for (std::uint64_t i = 0; i < mc.rows; ++i) {
      double sum = 0;
      for (std::uint64_t k = 0; k < depth; ++k) {
        sum += (ta ? ma.get(a, k, i) : ma.get(a, i, k)) * (tb ? mb.get(b, j, k) : mb.get(b, k, j));
        if (!rounds) continue;
        mc.put(to, i, j, sum);
        sum = mc.get(to, i, j);
      }
      mc.put(to, i, j, scalar(alpha) * sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
