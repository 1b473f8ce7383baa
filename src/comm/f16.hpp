// SPDX-License-Identifier: BSD-3-Clause
/// IEEE half precision on the host, where no arithmetic is done in it.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace dlscale {

/// 1 bit of sign, 5 of exponent, 11 of significand (one of them implied).
struct F16 {
  std::uint16_t bits = 0;
};

/// Exact.
inline float to_float(F16 value) noexcept {
  const std::uint32_t sign = (value.bits & 0x8000U) << 16, exponent = (value.bits >> 10) & 0x1fU,
                      fraction = value.bits & 0x3ffU;
  if (exponent == 0) {  // zero and what is smaller than 2⁻¹⁴
    const float size = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -size : size;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xffU : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

/// Rounds to nearest, ties to even; NaN stays NaN (and quiet), overflow gives infinity.
inline F16 to_f16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const float size = std::fabs(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>(sign | 0x7e00U)};
  if (size >= 65520.0F) return {static_cast<std::uint16_t>(sign | 0x7c00U)};
  if (size < 0x1p-14F)  // multiples of 2⁻²⁴; 1024 of them carry into the exponent, as they should
    return {
        static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(size * 0x1p24F)))};
  const std::uint32_t rounded = (bits & 0x7fffffffU) + 0xfffU + ((bits >> 13) & 1U);
  return {static_cast<std::uint16_t>(sign | ((rounded - (112U << 23)) >> 13))};
}

}  // namespace dlscale
