// SPDX-License-Identifier: BSD-3-Clause
/// Pairs of ranks exchange messages, all pairs of a round at once: which link or node is slow?
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/contract.hpp"

namespace dlscale {

/// [round][participant] → its partner, −1 = idle. Every round is a perfect matching (of an odd number
/// one is left over); rounds 0 … p−2 hold every pair exactly once, and so do the next as many, drawn
/// anew. A function of `seed` alone.
std::vector<std::vector<int>> pairwise_partners(int ranks, int rounds, std::uint64_t seed);

std::vector<Key> pairwise_keys();
std::vector<Params> pairwise_examples();
Cost pairwise_cost(const Params& params, int ranks, int threads);
std::vector<Piece> pairwise_rounds(const Params& params);

}  // namespace dlscale
