// SPDX-License-Identifier: BSD-3-Clause
/// Data as a function of (seed, stream, global index): the same for any number of ranks and threads,
/// never zero.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

namespace dlscale {

/// Finaliser of SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195).
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A sequence of its own for every (seed, stream).
constexpr std::uint64_t stream_key(std::uint64_t seed, std::uint64_t stream) noexcept {
  return mix64(mix64(seed + 0x9e3779b97f4a7c15ULL) + stream * 0xd1342543de82ef95ULL);
}

/// 64 random bits.
constexpr std::uint64_t bits_at(std::uint64_t key, std::uint64_t index) noexcept {
  return mix64(key + index * 0x9e3779b97f4a7c15ULL);
}

/// Uniform on [−1, 1] without 0: odd multiples of 2⁻⁵³ (rounded for narrower types), standard deviation
/// 1/√3. All mantissa bits are used: power and rounding are those of real data.
inline double uniform_at(std::uint64_t key, std::uint64_t index) noexcept {
  const auto bits = static_cast<std::int64_t>(bits_at(key, index) >> 11);  // 0 … 2^53 − 1
  return static_cast<double>(2 * bits + 1 - (std::int64_t{1} << 53)) * 0x1p-53;
}

/// Standard deviation of uniform_at.
inline const double uniform_sigma = 1.0 / std::sqrt(3.0);

template <class T>
void fill_uniform(std::span<T> out, std::uint64_t seed, std::uint64_t stream,
                  std::uint64_t first_index = 0) {
  const std::uint64_t key = stream_key(seed, stream);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(uniform_at(key, first_index + i));
}

/// ±1 with equal probability.
inline double sign_at(std::uint64_t key, std::uint64_t index) noexcept {
  return (bits_at(key, index) & 1U) != 0 ? 1.0 : -1.0;
}

}  // namespace dlscale
