// SPDX-License-Identifier: BSD-3-Clause
#include "nn/memory_plan.hpp"

#include <algorithm>
#include <numeric>

namespace dlscale::nn {
namespace {

constexpr std::size_t alignment = 64;

std::size_t rounded(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

MemoryPlan plan_memory(const std::vector<Tenant>& tenants) {
  MemoryPlan plan;
  plan.offsets.assign(tenants.size(), 0);
  std::vector<std::size_t> order(tenants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tenants[a].bytes > tenants[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t id : order) {
    const Tenant& own = tenants[id];
    std::size_t at = 0;
    for (const std::size_t other : placed) {
      const Tenant& t = tenants[other];
      if (t.last < own.first || own.last < t.first) continue;
      if (at + rounded(own.bytes) <= plan.offsets[other]) break;  // fits in the gap before it
      at = std::max(at, plan.offsets[other] + rounded(t.bytes));
    }
    plan.offsets[id] = at;
    plan.bytes = std::max(plan.bytes, at + rounded(own.bytes));
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), id,
                      [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
                  id);
  }
  return plan;
}

}  // namespace dlscale::nn
