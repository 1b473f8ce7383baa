// SPDX-License-Identifier: BSD-3-Clause
/// bfloat16 and its sum as an MPI operation: MPI knows neither.
#pragma once

#include <mpi.h>

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/handle.hpp"

namespace dlscale {

/// The upper half of a float32: 8 bits of exponent, 8 of significand (one of them implied).
struct Bf16 {
  std::uint16_t bits = 0;
};

constexpr float to_float(Bf16 value) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Rounds to nearest, ties to even; NaN stays NaN (and quiet), overflow gives infinity.
constexpr Bf16 to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  const std::uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  return {static_cast<std::uint16_t>((nan ? bits | 0x00400000U : rounded) >> 16)};
}

/// inout[i] ← inout[i] + in[i], each sum rounded once: bf16 → float32, add, back. The double rounding
/// is harmless, since 24 ≥ 2·8 + 2 bits (Figueroa 1995).
struct Bf16SumKernel {
  std::string_view name;  ///< "avx512" | "avx2" | "portable"
  void (*add)(const std::uint16_t* in, std::uint16_t* inout, std::int64_t count);
};

/// Kernels this processor can execute, best first.
const std::vector<Bf16SumKernel>& available_bf16_sum_kernels();

struct MpiOpTraits {
  static MPI_Op null() noexcept { return MPI_OP_NULL; }
  static void close(MPI_Op op) noexcept;
};
using OwnedMpiOp = Handle<MpiOpTraits>;

/// Sum of MPI_UINT16_T elements that are bf16 bits, by the best kernel. Commutative.
OwnedMpiOp make_bf16_sum();

}  // namespace dlscale
