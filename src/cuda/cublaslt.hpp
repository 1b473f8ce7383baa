// SPDX-License-Identifier: BSD-3-Clause
/// Owners of cuBLASLt's handles.
#pragma once

#include <cublasLt.h>

#include "cuda/stream.hpp"

namespace dlscale::cuda {

inline void check(cublasStatus_t code, const char* call) {
  if (code != CUBLAS_STATUS_SUCCESS)
    fail(call, std::string(cublasLtGetStatusName(code)) + ": " + cublasLtGetStatusString(code));
}

struct CublasLtTraits {
  static cublasLtHandle_t null() { return nullptr; }
  static void close(cublasLtHandle_t h) noexcept { cublasLtDestroy(h); }
};
struct MatmulTraits {
  static cublasLtMatmulDesc_t null() { return nullptr; }
  static void close(cublasLtMatmulDesc_t h) noexcept { cublasLtMatmulDescDestroy(h); }
};
struct MatrixTraits {
  static cublasLtMatrixLayout_t null() { return nullptr; }
  static void close(cublasLtMatrixLayout_t h) noexcept { cublasLtMatrixLayoutDestroy(h); }
};
struct PreferenceTraits {
  static cublasLtMatmulPreference_t null() { return nullptr; }
  static void close(cublasLtMatmulPreference_t h) noexcept { cublasLtMatmulPreferenceDestroy(h); }
};

using CublasLt = Handle<CublasLtTraits>;
using MatmulDescription = Handle<MatmulTraits>;
using MatrixLayout = Handle<MatrixTraits>;
using MatmulPreference = Handle<PreferenceTraits>;

inline CublasLt make_cublaslt() {
  cublasLtHandle_t handle = nullptr;
  DLSCALE_CUDA(cublasLtCreate(&handle));
  return CublasLt(handle);
}
inline MatmulDescription make_matmul(cublasComputeType_t compute, cudaDataType_t scale) {
  cublasLtMatmulDesc_t description = nullptr;
  DLSCALE_CUDA(cublasLtMatmulDescCreate(&description, compute, scale));
  return MatmulDescription(description);
}
/// Column-major rows × cols, columns `leading` elements apart.
inline MatrixLayout make_matrix(cudaDataType_t type, std::uint64_t rows, std::uint64_t cols,
                                std::int64_t leading) {
  cublasLtMatrixLayout_t layout = nullptr;
  DLSCALE_CUDA(cublasLtMatrixLayoutCreate(&layout, type, rows, cols, leading));
  return MatrixLayout(layout);
}
inline MatmulPreference make_preference(std::size_t workspace_bytes) {
  cublasLtMatmulPreference_t preference = nullptr;
  DLSCALE_CUDA(cublasLtMatmulPreferenceCreate(&preference));
  MatmulPreference owner(preference);
  DLSCALE_CUDA(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &workspace_bytes, sizeof workspace_bytes));
  return owner;
}

}  // namespace dlscale::cuda
