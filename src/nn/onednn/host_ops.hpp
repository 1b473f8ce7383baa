// SPDX-License-Identifier: BSD-3-Clause
/// The few operations that oneDNN does not have in a useful form, on host memory.
#pragma once

#include <cstdint>
#include <span>

namespace dlscale::nn::onednn {

/// bf16 is the upper half of an f32.
float from_bf16(std::uint16_t value);
std::uint16_t to_bf16(float value);  ///< round to nearest even; NaN stays NaN

/// Softmax cross-entropy of `logits` (batch × classes). Returns the mean loss; `gradient` receives
/// (softmax − one-hot) / batch. NaN anywhere gives NaN. Counts the images whose largest logit is their
/// label's.
double softmax_cross_entropy(std::span<const float> logits, std::span<const std::int32_t> labels,
                             std::int64_t classes, std::span<float> gradient, std::int64_t& correct);

/// keep[i] = 1 with probability 1 − rate: a function of (key, i) alone.
void dropout_mask(std::uint64_t key, double rate, std::span<std::uint8_t> keep);
/// out = in · keep / (1 − rate).
void dropout_apply(std::span<const float> in, std::span<const std::uint8_t> keep, float scale,
                   std::span<float> out);
void dropout_apply(std::span<const std::uint16_t> in, std::span<const std::uint8_t> keep, float scale,
                   std::span<std::uint16_t> out);

}  // namespace dlscale::nn::onednn
