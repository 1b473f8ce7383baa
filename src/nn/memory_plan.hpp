// SPDX-License-Identifier: BSD-3-Clause
/// Places tensors with known lifetimes in one arena so that those never alive together share memory.
#pragma once

#include <cstddef>
#include <vector>

namespace dlscale::nn {

/// A tensor alive from step `first` to step `last`, both included.
struct Tenant {
  std::size_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< per tenant, multiples of 64
  std::size_t bytes = 0;
};

/// Largest first, each at the lowest offset that is free during its life (greedy by size; within a few
/// percent of the optimum for networks: Pisarchyk, Lee 2020, arXiv:2001.03288).
MemoryPlan plan_memory(const std::vector<Tenant>& tenants);

}  // namespace dlscale::nn
