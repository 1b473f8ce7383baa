// SPDX-License-Identifier: BSD-3-Clause
/// The pure half of gemm on a GPU: what the program knows of it without one.
#pragma once

#include "workloads/gemm/gemm.hpp"

namespace dlscale {

/// Sets of operands that repetitions take in turn, so that none finds its own in the L2 cache: together
/// at least gemm_rotation_bytes, one with β ≠ 0 (repetitions compound). Pure.
int gemm_operand_sets(const Params& params);
constexpr double gemm_rotation_bytes = 256.0 * 1024 * 1024;  // twice the largest L2 (B200: 126 MB)
constexpr int gemm_most_sets = 16;

/// Why a GPU of this compute capability (90: 9.0) can't multiply the type; empty when it can. Pure.
std::string gemm_gpu_problem(const std::string& dtype, int capability);

/// Unit roundoffs as the tensor cores have them. tf32 and fp8: the rounding of a float32 operand to
/// tf32's 11 bits counts like one of the output; fp8 sums are kept to 14 bits inside the tensor core
/// (Zhao et al. 2024, DeepSeek-V3, arXiv 2412.19437, §3.3.2). int8 is exact.
GemmPrecision gemm_gpu_precision(const std::string& dtype);

}  // namespace dlscale
