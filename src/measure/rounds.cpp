// SPDX-License-Identifier: BSD-3-Clause
#include "measure/rounds.hpp"

#include <limits>
#include <utility>

namespace dlscale {
namespace {

constexpr double cheap_share = 0.005;

// std::shuffle differs between libraries; the order must be the same everywhere for one seed.
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<int> shuffled_round(const std::vector<int>& case_ids, std::uint64_t seed, int group,
                                int round) {
  std::vector<int> order = case_ids;
  std::uint64_t state =
      seed ^ (static_cast<std::uint64_t>(group) << 32) ^ static_cast<std::uint64_t>(round + 1);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[next_random(state) % i]);
  return order;
}

std::vector<int> next_round(const std::vector<int>& order, std::vector<CaseController>& controllers,
                            double elapsed_s, double budget_s, double group_end_s) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double hard_end = budget_s > 0 ? 1.25 * budget_s : infinity;
  const double soft_end = budget_s > 0 ? group_end_s : infinity;
  std::vector<int> chosen;
  double clock = elapsed_s;
  for (const int id : order) {
    CaseController& c = controllers[static_cast<std::size_t>(id)];
    if (c.finished()) continue;
    const double after = clock + c.next_block_s();
    const double end = c.wants_more() ? soft_end : hard_end;
    // A block that costs next to nothing is never worth an interval less.
    const bool cheap = budget_s > 0 && !c.wants_more() && c.next_block_s() <= cheap_share * budget_s;
    const bool owed = c.blocks_done() == 0 || c.settings().min_time_s > 0 || cheap;
    if (!owed && after > end) {
      c.stop("time budget");
      continue;
    }
    chosen.push_back(id);
    clock = after;
  }
  return chosen;
}

}  // namespace dlscale
