// SPDX-License-Identifier: BSD-3-Clause
#include "nn/tensor_hash.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "device/random.hpp"

namespace dlscale::nn {
namespace {

// Four chains, since one multiplication waits for the one before it.
constexpr std::size_t lanes = 4;
using Words = std::array<std::uint64_t, lanes>;

// One-to-one in the state and in the word: a word that differs can't be made up for but by later ones.
void absorb(Words& state, const float* values) noexcept {
  Words words;
  std::memcpy(words.data(), values, sizeof words);
  for (std::size_t l = 0; l < lanes; ++l) {
    state[l] = (state[l] ^ words[l]) * 0x9fb21c651e98df25ULL;
    state[l] ^= state[l] >> 32;  // high bits would only ever move up
  }
}

}  // namespace

std::uint64_t hash_values(std::span<const float> values) noexcept {
  constexpr std::size_t step = sizeof(Words) / sizeof(float);
  Words state{0x243f6a8885a308d3ULL, 0x13198a2e03707344ULL, 0xa4093822299f31d0ULL,
              0x082efa98ec4e6c89ULL};
  const std::size_t whole = values.size() / step * step;
  for (std::size_t i = 0; i < whole; i += step) absorb(state, values.data() + i);
  if (whole < values.size()) {
    std::array<float, step> rest{};
    std::memcpy(rest.data(), values.data() + whole, (values.size() - whole) * sizeof(float));
    absorb(state, rest.data());
  }
  std::uint64_t hash = mix64(values.size());
  for (const std::uint64_t lane : state) hash = mix64(std::rotl(hash, 32) ^ lane);
  return hash;
}

}  // namespace dlscale::nn
