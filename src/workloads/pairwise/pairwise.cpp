// SPDX-License-Identifier: BSD-3-Clause
// The pure half of pairwise: keys, the partner table, cost.
#include "workloads/pairwise/pairwise.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "device/random.hpp"

namespace dlscale {
namespace {

constexpr std::uint64_t order_stream = 0x200;

// The same on every host and library, unlike std::shuffle.
std::vector<int> permutation(int size, std::uint64_t key) {
  std::vector<int> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[bits_at(key, i) % i]);
  return order;
}

// The circle method: of `even` seats the last stays, the others with i + j ≡ turn (mod even − 1) meet;
// the one that would meet itself meets the last.
int opposite(int seat, int turn, int even) {
  const int circle = even - 1;
  if (circle == 1) return 1 - seat;
  // Twice a seat of the circle takes every value once, since its length is odd.
  const int half = turn % 2 == 0 ? turn / 2 : (turn + circle) / 2;
  if (seat == circle) return half;
  if (seat == half) return circle;
  return (turn - seat + circle) % circle;
}

}  // namespace

std::vector<std::vector<int>> pairwise_partners(int ranks, int rounds, std::uint64_t seed) {
  std::vector<std::vector<int>> table;
  if (ranks < 2) return table;
  const int even = ranks + ranks % 2, circle = even - 1;
  std::vector<int> who, turns;
  for (int round = 0; round < rounds; ++round) {
    if (round % circle == 0) {
      const auto cycle = static_cast<std::uint64_t>(round / circle);
      who = permutation(even, stream_key(seed, order_stream + 2 * cycle));
      turns = permutation(circle, stream_key(seed, order_stream + 2 * cycle + 1));
    }
    std::vector<int> partners(static_cast<std::size_t>(ranks), -1);
    for (int seat = 0; seat < even; ++seat) {
      const int rank = who[static_cast<std::size_t>(seat)];
      const int other = who[static_cast<std::size_t>(
          opposite(seat, turns[static_cast<std::size_t>(round % circle)], even))];
      if (rank < ranks && other < ranks) partners[static_cast<std::size_t>(rank)] = other;
    }
    table.push_back(std::move(partners));
  }
  return table;
}

std::vector<Key> pairwise_keys() {
  return {
      {"bytes",
       std::int64_t{1048576},
       "of every message, in each direction; 0 = the latency alone",
       0.0,
       2147483647.0,
       {}},  // MPI counts in 32 bits
      {"rounds",
       std::int64_t{8},
       "matchings, one after the other in each repetition; p − 1 rounds (p of an odd p) hold every pair "
       "once",
       1.0,
       1000.0,
       {}},
      {"seed", std::int64_t{1}, "of the matchings", 0.0, 2147483647.0, {}},
  };
}

std::vector<Params> pairwise_examples() {
  std::vector<Params> list;
  for (const auto& [bytes, rounds] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1}, {1, 3}, {4099, 7}, {300'007, 2}}) {
    Params p;
    p.set("bytes", bytes);
    p.set("rounds", rounds);
    p.set("seed", std::int64_t{5});
    list.push_back(p);
  }
  return list;
}

Cost pairwise_cost(const Params& params, int ranks, int) {
  const double bytes = params.number("bytes"), rounds = params.number("rounds");
  const double busy = ranks - ranks % 2;
  // Every busy rank reads what it sends and writes what it receives; arrivals of all rounds are kept
  // (pairwise_cpu.hpp).
  return {.flops = 0,
          .bytes_touched = 2 * busy * rounds * bytes,
          .bytes_sent = busy * rounds * bytes,
          .memory_bytes = (rounds + 1) * (bytes + 64)};
}

std::vector<Piece> pairwise_rounds(const Params& params) {
  std::vector<Piece> rounds;
  for (std::int64_t k = 0; k < params.integer("rounds"); ++k)
    rounds.push_back({.name = fmt::format("round {}", k), .flops = 0, .bytes = params.number("bytes")});
  return rounds;
}

}  // namespace dlscale
