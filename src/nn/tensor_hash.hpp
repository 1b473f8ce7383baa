// SPDX-License-Identifier: BSD-3-Clause
/// 64 bits that tell tensors apart.
#pragma once

#include <cstdint>
#include <span>

namespace dlscale::nn {

/// Of the bits, so −0 is not 0 and every NaN is itself. A single value that differs always changes it;
/// other differences go unseen once in about 2⁶⁴. Reads about as fast as memory delivers.
std::uint64_t hash_values(std::span<const float> values) noexcept;

}  // namespace dlscale::nn
