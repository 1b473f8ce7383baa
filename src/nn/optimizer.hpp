// SPDX-License-Identifier: BSD-3-Clause
/// SGD with momentum and Adam: one pass over a contiguous stretch of parameters, gradients and state.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace dlscale::nn {

enum class OptimizerKind { sgd, adam };

/// Defaults are PyTorch's. Source: torch.optim.SGD, torch.optim.Adam (Kingma, Ba 2015,
/// arXiv:1412.6980).
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adam;
  double lr = 1e-3;
  double momentum = 0;                                ///< SGD: v ← momentum·v + g; w ← w − lr·v
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< Adam
  double weight_decay = 0;                            ///< added to the gradient (L2), in both
};

/// Values of state per parameter: 0 (SGD without momentum), 1, or 2 (Adam: mean, then squares).
int state_values(const OptimizerOptions& options);

/// One step over equally long spans. `step` counts from 1 (bias correction of Adam; the first step of
/// SGD sets v = g). `scale` multiplies the gradient first (1/ranks after a sum). `first`, `second`:
/// state, may be empty where the kind needs none. Vectorised for the processor at hand; one thread:
/// callers split the range. Returns whether all new parameters are finite. Same bits whatever the split,
/// if its cuts are multiples of 16 values.
bool optimizer_step(const OptimizerOptions& options, std::int64_t step, float scale,
                    std::span<float> parameters, std::span<const float> gradients,
                    std::span<float> first, std::span<float> second);

}  // namespace dlscale::nn
