// SPDX-License-Identifier: BSD-3-Clause
// The pure half of collective and pairwise: sizes, costs, refusals, the partner table.
#include <algorithm>
#include <set>

#include "dlscale_catch.hpp"
#include "workloads/collective/collective.hpp"
#include "workloads/pairwise/pairwise.hpp"

using namespace dlscale;

namespace {

Params collective(const char* op, std::int64_t bytes, const char* dtype = "f32", bool in_place = false) {
  Params p;
  p.set("op", std::string(op));
  p.set("bytes", bytes);
  p.set("dtype", std::string(dtype));
  p.set("in_place", in_place);
  p.set("implementation", std::string("mpi"));
  return p;
}

double bus_bytes(const char* op, std::int64_t bytes, int ranks) {
  return collective_cost(collective(op, bytes), ranks, 1).bytes_sent / ranks;
}

}  // namespace

TEST_CASE("bus bytes are those of nccl-tests") {
  const std::int64_t s = 4 * 3 * 1024;
  CHECK(bus_bytes("allreduce", s, 4) == Approx(1.5 * 12288));
  CHECK(bus_bytes("reduce_scatter", s, 4) == Approx(0.75 * 12288));
  CHECK(bus_bytes("allgather", s, 4) == Approx(0.75 * 12288));
  CHECK(bus_bytes("alltoall", s, 4) == Approx(0.75 * 12288));
  CHECK(bus_bytes("broadcast", s, 4) == Approx(12288));
  for (const char* op : {"allreduce", "reduce_scatter", "allgather", "broadcast", "alltoall"})
    CHECK(bus_bytes(op, s, 1) == 0);  // nothing moves: the case's rate is its time
}

TEST_CASE("a message is rounded up to whole blocks where every rank has one") {
  for (const char* op : {"reduce_scatter", "allgather", "alltoall"}) {
    const CollectiveShape shape = collective_shape(collective(op, 40), 7);  // 10 elements
    CAPTURE(op);
    CHECK(shape.count == 14);
    CHECK(shape.block() == 2);
    CHECK(bus_bytes(op, 40, 7) == Approx(56 * 6.0 / 7));
  }
  CHECK(collective_shape(collective("allreduce", 40), 7).count == 10);
  CHECK(collective_shape(collective("broadcast", 40), 7).count == 10);
  // One element is a block for every rank.
  CHECK(collective_shape(collective("alltoall", 8, "f64"), 3).count == 3);
}

TEST_CASE("buffers and memory") {
  const auto memory = [](const char* op, bool in_place) {
    return collective_cost(collective(op, 4096, "f32", in_place), 4, 1).memory_bytes;
  };
  CHECK(memory("allreduce", false) == 8192);
  CHECK(memory("allreduce", true) == 4096);
  CHECK(memory("reduce_scatter", false) == 5120);
  CHECK(memory("allgather", false) == 5120);
  CHECK(memory("broadcast", false) == 4096);
  CHECK(memory("alltoall", true) == 4096);
}

TEST_CASE("sizes that make no sense are refused with the way out") {
  CHECK(collective_validate(collective("allreduce", 4096)).empty());
  CHECK(collective_validate(collective("allreduce", 10)).find("choose 12") != std::string::npos);
  CHECK(collective_validate(collective("allreduce", 12, "f64")).find("choose 16") != std::string::npos);
  CHECK_FALSE(collective_validate(collective("allreduce", 16'000'000'000, "f32")).empty());
  CHECK(collective_validate(collective("allreduce", 16'000'000'000, "f64")).empty());
  CHECK_FALSE(collective_validate(collective("broadcast", 4096, "f32", true)).empty());
}

TEST_CASE("matchings: every one pairs all, and p − 1 of them hold every pair once") {
  for (const int ranks : {2, 3, 4, 5, 8, 9, 31, 64}) {
    const int cycle = ranks % 2 == 0 ? ranks - 1 : ranks;
    const auto table = pairwise_partners(ranks, 2 * cycle, 3);
    REQUIRE(table.size() == static_cast<std::size_t>(2 * cycle));
    for (int half = 0; half < 2; ++half) {
      std::set<std::pair<int, int>> met;
      std::set<int> idle;
      for (int round = half * cycle; round < (half + 1) * cycle; ++round) {
        const auto& partners = table[static_cast<std::size_t>(round)];
        REQUIRE(partners.size() == static_cast<std::size_t>(ranks));
        int alone = 0;
        for (int a = 0; a < ranks; ++a) {
          const int b = partners[static_cast<std::size_t>(a)];
          if (b < 0) {
            ++alone;
            idle.insert(a);
            continue;
          }
          REQUIRE(b < ranks);
          CHECK(b != a);
          CHECK(partners[static_cast<std::size_t>(b)] == a);
          met.insert(std::minmax(a, b));
        }
        CHECK(alone == ranks % 2);
      }
      CHECK(met.size() == static_cast<std::size_t>(ranks * (ranks - 1) / 2));
      if (ranks % 2 != 0) CHECK(idle.size() == static_cast<std::size_t>(ranks));
    }
  }
}

TEST_CASE("matchings depend on the seed alone") {
  CHECK(pairwise_partners(16, 9, 1) == pairwise_partners(16, 9, 1));
  CHECK(pairwise_partners(16, 9, 1) != pairwise_partners(16, 9, 2));
  // More rounds begin with the same ones.
  auto longer = pairwise_partners(16, 40, 1);
  longer.resize(9);
  CHECK(longer == pairwise_partners(16, 9, 1));
  CHECK(pairwise_partners(1, 4, 1).empty());
  CHECK(pairwise_partners(16, 30, 1)[0] != pairwise_partners(16, 30, 1)[15]);  // drawn anew
}

TEST_CASE("what a pairwise case moves") {
  Params p;
  p.set("bytes", std::int64_t{1000});
  p.set("rounds", std::int64_t{4});
  p.set("seed", std::int64_t{1});
  CHECK(pairwise_cost(p, 6, 1).bytes_sent / 6 == 4000);  // per rank and direction
  CHECK(pairwise_cost(p, 5, 1).bytes_sent == 16000);     // one of five is idle
  CHECK(pairwise_rounds(p).size() == 4);
  CHECK(pairwise_rounds(p)[3].name == "round 3");
}
