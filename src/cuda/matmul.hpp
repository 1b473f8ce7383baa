// SPDX-License-Identifier: BSD-3-Clause
/// One product C = α·op(A)·op(B) + β·C through cuBLASLt, with the algorithm that was fastest when timed.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "cuda/fill.hpp"
#include "cuda/memory.hpp"

namespace dlscale::cuda {

/// Types of one kind of product. docs/metrics.md lists them.
struct ProductTypes {
  Element input, output;
  cudaDataType_t input_type, output_type, scale_type;
  cublasComputeType_t compute;
};
/// f64 f32 tf32 bf16 f16 int8 fp8.
ProductTypes product_types(const std::string& dtype);

/// Column-major. op(A) is m×k, op(B) k×n.
struct ProductShape {
  std::int64_t m = 1, n = 1, k = 1;
  bool trans_a = false, trans_b = false;
  std::int64_t lda = 0, ldb = 0, ldc = 0;  ///< 0: dense
};

/// What a candidate was and how fast.
struct AlgorithmFacts {
  int id = -1, tile = -1, stages = -1, split_k = -1;
  std::size_t workspace_bytes = 0;
  double seconds = 0;  ///< the shortest seen
  int candidates = 0;  ///< that were timed
};

class Product {
 public:
  Product(const ProductShape& shape, const ProductTypes& types, double alpha, double beta);
  /// Times the library's candidates on these arrays, which C's is overwritten, and keeps the fastest.
  /// `alignment`: a power of two up to 256, bytes, that divides every address run() will be given.
  void choose(const void* a, const void* b, void* c, const Stream& stream, std::size_t alignment = 256);
  /// Asynchronous.
  void run(const void* a, const void* b, void* c, const Stream& stream) const;
  const AlgorithmFacts& facts() const { return facts_; }

 private:
  void run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c,
           const Stream& stream) const;
  double shortest_s(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* c,
                    const Stream& stream) const;

  union Scalar {
    double f64;
    float f32;
    std::int32_t i32;
  };
  static Scalar scalar(cudaDataType_t type, double value);

  CublasLt library_;
  MatmulDescription description_;
  MatrixLayout a_, b_, c_;
  Scalar alpha_, beta_;
  cublasLtMatmulAlgo_t algorithm_{};
  DeviceBuffer<std::byte> workspace_;
  AlgorithmFacts facts_;
};

}  // namespace dlscale::cuda
