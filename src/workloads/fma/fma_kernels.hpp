// SPDX-License-Identifier: BSD-3-Clause
/// Chains of multiply-adds in registers, one kernel per instruction set and type, chosen at run time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dlscale {

/// One kernel: `run(iterations, x, y)` advances `accumulators × lanes` independent chains v ← v·x + y
/// from v = 0 and returns the sum of all chains. Two FLOP per chain and iteration. bf16: v ← v + x·y in
/// f32, two chains per lane.
struct FmaKernel {
  std::string name;   ///< "avx512" | "avx2" | "sse2" | "portable"
  std::string dtype;  ///< "f64" | "f32" | "bf16"
  int chains = 0;     ///< accumulators × lanes
  double (*run)(std::int64_t iterations, double x, double y) = nullptr;
};

/// Kernels this processor can execute, best first.
std::vector<FmaKernel> available_fma_kernels(const std::string& dtype);

}  // namespace dlscale
