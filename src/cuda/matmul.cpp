// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/matmul.hpp"

#include <algorithm>
#include <array>

#include "cuda/current_device.hpp"

namespace dlscale::cuda {
namespace {

// What NVIDIA recommends for Hopper; older chips need less.
constexpr std::size_t most_workspace_bytes = std::size_t{32} << 20;
constexpr int most_candidates = 16;
constexpr int timings = 5;  // of each candidate; the first one also loads the kernel
// A candidate that takes longer than this is not timed again and again.
constexpr double long_s = 0.05;
// Before a kernel that comes alone the device waits for the host, which hides how fast a short one is:
// those are timed in a row.
constexpr double short_s = 1e-4;
constexpr int in_a_row = 10;

int attribute(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t which) {
  int value = -1;
  std::size_t written = 0;
  // Attributes that an algorithm does not have are left at −1.
  if (cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, sizeof value, &written) !=
      CUBLAS_STATUS_SUCCESS)
    return -1;
  return value;
}

}  // namespace

ProductTypes product_types(const std::string& dtype) {
  if (dtype == "f64")
    return {Element::f64, Element::f64, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
  if (dtype == "f32")
    return {Element::f32, Element::f32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  if (dtype == "tf32")
    return {Element::f32, Element::f32, CUDA_R_32F,
            CUDA_R_32F,   CUDA_R_32F,   CUBLAS_COMPUTE_32F_FAST_TF32};
  if (dtype == "bf16")
    return {Element::bf16, Element::bf16, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  if (dtype == "f16")
    return {Element::f16, Element::f16, CUDA_R_16F, CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  if (dtype == "int8")
    return {Element::i8, Element::i32, CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I};
  if (dtype == "fp8")
    return {Element::fp8, Element::bf16, CUDA_R_8F_E4M3, CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  throw Error(ExitCode::case_failed, "no product of type '" + dtype + "' on a GPU");
}

Product::Scalar Product::scalar(cudaDataType_t type, double value) {
  Scalar s{};
  if (type == CUDA_R_64F)
    s.f64 = value;
  else if (type == CUDA_R_32I)
    s.i32 = static_cast<std::int32_t>(value);
  else
    s.f32 = static_cast<float>(value);
  return s;
}

Product::Product(const ProductShape& s, const ProductTypes& types, double alpha, double beta)
    : library_(make_cublaslt()),
      description_(make_matmul(types.compute, types.scale_type)),
      alpha_(scalar(types.scale_type, alpha)),
      beta_(scalar(types.scale_type, beta)) {
  const auto set = [this](cublasLtMatmulDescAttributes_t which, cublasOperation_t value) {
    DLSCALE_CUDA(cublasLtMatmulDescSetAttribute(description_.get(), which, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, s.trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, s.trans_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  const auto matrix = [](cudaDataType_t type, std::int64_t rows, std::int64_t cols,
                         std::int64_t leading) {
    return make_matrix(type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols),
                       leading == 0 ? rows : leading);
  };
  a_ = matrix(types.input_type, s.trans_a ? s.k : s.m, s.trans_a ? s.m : s.k, s.lda);
  b_ = matrix(types.input_type, s.trans_b ? s.n : s.k, s.trans_b ? s.k : s.n, s.ldb);
  c_ = matrix(types.output_type, s.m, s.n, s.ldc);
}

void Product::choose(const void* a, const void* b, void* c, const Stream& stream,
                     std::size_t alignment) {
  workspace_ = DeviceBuffer<std::byte>(most_workspace_bytes);
  const MatmulPreference preference = make_preference(most_workspace_bytes);
  const auto least = static_cast<std::uint32_t>(alignment);
  for (const cublasLtMatmulPreferenceAttributes_t which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    DLSCALE_CUDA(cublasLtMatmulPreferenceSetAttribute(preference.get(), which, &least, sizeof least));
  // Where k is split, parts are summed before they are rounded, in a fixed order: not in C itself, and
  // not in its type.
  const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  DLSCALE_CUDA(cublasLtMatmulPreferenceSetAttribute(
      preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions));
  std::array<cublasLtMatmulHeuristicResult_t, most_candidates> candidates{};
  int found = 0;
  DLSCALE_CUDA(cublasLtMatmulAlgoGetHeuristic(library_.get(), description_.get(), a_.get(), b_.get(),
                                              c_.get(), c_.get(), preference.get(), most_candidates,
                                              candidates.data(), &found));
  facts_ = {};
  std::string why = "its heuristic offers none";
  for (int i = 0; i < found; ++i) {
    const cublasLtMatmulHeuristicResult_t& candidate = candidates[static_cast<std::size_t>(i)];
    if (candidate.state != CUBLAS_STATUS_SUCCESS) continue;
    double seconds = 0;
    // One that the library refuses after all costs the product nothing while there are others.
    if (const std::string refused =
            failure_of([&] { seconds = shortest_s(candidate.algo, a, b, c, stream); });
        !refused.empty()) {
      why = refused;
      continue;
    }
    if (facts_.candidates++ > 0 && seconds >= facts_.seconds) continue;
    algorithm_ = candidate.algo;
    facts_.id = attribute(algorithm_, CUBLASLT_ALGO_CONFIG_ID);
    facts_.tile = attribute(algorithm_, CUBLASLT_ALGO_CONFIG_TILE_ID);
    facts_.stages = attribute(algorithm_, CUBLASLT_ALGO_CONFIG_STAGES_ID);
    facts_.split_k = attribute(algorithm_, CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
    facts_.workspace_bytes = candidate.workspaceSize;
    facts_.seconds = seconds;
  }
  if (facts_.candidates == 0)
    throw Error(ExitCode::case_failed, "cuBLASLt has no algorithm for this product", why,
                "choose other sizes or another type");
  workspace_ = {};
  workspace_ = DeviceBuffer<std::byte>(facts_.workspace_bytes);
}

double Product::shortest_s(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c,
                           const Stream& stream) const {
  const Event begin(true), end(true);
  double shortest = 0;
  int runs = 1;
  for (int i = 0; i < timings; ++i) {
    begin.record(stream);
    for (int r = 0; r < runs; ++r) run(algorithm, a, b, c, stream);
    end.record(stream);
    end.wait();
    const double seconds = elapsed_s(begin, end) / runs;
    if (i == 1 || (i > 1 && seconds < shortest)) shortest = seconds;
    if (i == 1 && seconds > long_s) break;
    if (seconds < short_s) runs = in_a_row;
  }
  return shortest;
}

void Product::run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c,
                  const Stream& stream) const {
  DLSCALE_CUDA(cublasLtMatmul(library_.get(), description_.get(), &alpha_, a, a_.get(), b, b_.get(),
                              &beta_, c, c_.get(), c, c_.get(), &algorithm, workspace_.data(),
                              workspace_.bytes(), stream.get()));
}

void Product::run(const void* a, const void* b, void* c, const Stream& stream) const {
  run(algorithm_, a, b, c, stream);
}

}  // namespace dlscale::cuda
