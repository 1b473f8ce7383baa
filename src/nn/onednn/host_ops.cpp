// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/host_ops.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "device/random.hpp"

namespace dlscale::nn::onednn {

float from_bf16(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

double softmax_cross_entropy(std::span<const float> logits, std::span<const std::int32_t> labels,
                             std::int64_t classes, std::span<float> gradient, std::int64_t& correct) {
  const auto width = static_cast<std::size_t>(classes);
  const double share = 1.0 / static_cast<double>(labels.size());
  double loss = 0;
  correct = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const auto row = logits.subspan(n * width, width);
    const auto label = static_cast<std::size_t>(labels[n]);
    float largest = row[0];
    for (const float x : row)
      if (!(x <= largest) && !std::isnan(largest)) largest = x;  // NaN wins
    if (row[label] == largest) ++correct;
    double sum = 0;
    for (const float x : row) sum += std::exp(static_cast<double>(x - largest));
    loss += std::log(sum) - static_cast<double>(row[label] - largest);
    if (gradient.empty()) continue;
    for (std::size_t k = 0; k < width; ++k) {
      const double probability = std::exp(static_cast<double>(row[k] - largest)) / sum;
      gradient[n * width + k] = static_cast<float>(share * (probability - (k == label ? 1.0 : 0.0)));
    }
  }
  return share * loss;
}

void dropout_mask(std::uint64_t key, double rate, std::span<std::uint8_t> keep) {
  // 16 random bits decide: a rate is met to 1.5e-5.
  const auto limit = static_cast<std::uint32_t>(std::lround(rate * 65536));
  for (std::size_t i = 0; i < keep.size(); i += 4) {
    std::uint64_t bits = mix64(key + (i / 4) * 0x9e3779b97f4a7c15ULL);
    const std::size_t end = std::min(i + 4, keep.size());
    for (std::size_t j = i; j < end; ++j, bits >>= 16) keep[j] = (bits & 0xffffU) >= limit ? 1 : 0;
  }
}

void dropout_apply(std::span<const float> in, std::span<const std::uint8_t> keep, float scale,
                   std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = keep[i] != 0 ? scale * in[i] : 0.0F;
}

void dropout_apply(std::span<const std::uint16_t> in, std::span<const std::uint8_t> keep, float scale,
                   std::span<std::uint16_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = keep[i] != 0 ? to_bf16(scale * from_bf16(in[i])) : std::uint16_t{0};
}

}  // namespace dlscale::nn::onednn
