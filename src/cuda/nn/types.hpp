// SPDX-License-Identifier: BSD-3-Clause
/// Tensors of a network on the device: batch × H × W × C, channels next to one another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nn/graph.hpp"
#include "nn/optimizer_kernels.hpp"

namespace dlscale::cuda::dnn {

enum class Type { f32, bf16 };
constexpr std::size_t bytes_of(Type type) {
  return type == Type::bf16 ? 2 : 4;
}

/// Sizes as the kernels take them; the largest tensor has 2³¹ − 1 values, as for cuDNN.
struct Dims {
  int n = 0, h = 0, w = 0, c = 0;
  std::size_t count() const {
    return static_cast<std::size_t>(n) * static_cast<std::size_t>(h) * static_cast<std::size_t>(w) *
           static_cast<std::size_t>(c);
  }
  unsigned rows() const { return static_cast<unsigned>(n) * static_cast<unsigned>(h * w); }
};
/// Throws Error(case_failed) for one that is larger.
Dims dims_of(int batch, const nn::Shape& shape);

/// What differs from step to step, in device memory: a captured step reads it there.
struct StepInputs {
  std::uint64_t dropout_key = 0;
  nn::OptimizerStep optimizer;
};
/// What a step leaves.
struct StepResults {
  double loss = 0;  ///< NaN without labels
  int correct = 0;
  int broken = 0;  ///< 1: a parameter was not finite after the update
};

/// Kernel, stride and the padding at the beginning; what lies beyond the input counts as padding.
struct PoolWindow {
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0;
};

}  // namespace dlscale::cuda::dnn
