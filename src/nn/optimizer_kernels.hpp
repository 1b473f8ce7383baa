// SPDX-License-Identifier: BSD-3-Clause
/// The optimisers' loops, one per instruction set, chosen at run time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/optimizer.hpp"

namespace dlscale::nn {

/// What all elements of a step share. SGD: g ← scale·g + decay·w; v ← g (first step) or momentum·v + g;
/// w ← w − rate·v. Adam: g likewise; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
/// w ← w − rate · m / (√v / root + ε), where rate = lr/(1−β₁ᵗ) and root = √(1−β₂ᵗ).
struct OptimizerStep {
  float scale = 1, decay = 0, rate = 0;
  float momentum = 0;
  bool first_step = false;
  float beta1 = 0, one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0, root = 1, epsilon = 0;
};
/// `step` counts from 1.
OptimizerStep optimizer_constants(const OptimizerOptions& options, std::int64_t step, float scale);

/// `count` is a multiple of 16. sgd: state may be nullptr (no momentum). Return whether all new weights
/// are finite.
struct OptimizerKernels {
  std::string_view name;  ///< "avx512" | "avx2" | "sse2" | "portable"
  bool (*sgd)(const OptimizerStep& step, std::int64_t count, float* w, const float* g, float* v);
  bool (*adam)(const OptimizerStep& step, std::int64_t count, float* w, const float* g, float* m,
               float* v);
};

/// Kernels this processor can execute, best first.
const std::vector<OptimizerKernels>& available_optimizer_kernels();

}  // namespace dlscale::nn
