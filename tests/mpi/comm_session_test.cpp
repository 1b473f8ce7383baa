// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/barrier.hpp"
#include "comm/clock_offset.hpp"
#include "comm/communicator.hpp"
#include "dlscale_catch.hpp"
#include "test_session.hpp"

using namespace dlscale;

namespace {

int environment_number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// The node every rank must be on, from the variables that make nodes on one host.
std::vector<int> expected_nodes(int ranks) {
  const int per_node = environment_number("DLSCALE_TEST_RANKS_PER_NODE", ranks);
  const int nodes = (ranks + per_node - 1) / per_node;
  std::vector<int> result;
  for (int rank = 0; rank < ranks; ++rank)
    result.push_back(environment_number("DLSCALE_TEST_NODE_ROUND_ROBIN", 0) == 1 ? rank % nodes
                                                                                 : rank / per_node);
  return result;
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

TEST_CASE("world is ours, nodes are numbered by their lowest rank", "[comm]") {
  const auto& session = test_session();
  const auto& world = session.world();
  int rank = -1, size = 0, relation = MPI_UNEQUAL;
  REQUIRE(MPI_Comm_rank(MPI_COMM_WORLD, &rank) == MPI_SUCCESS);
  REQUIRE(MPI_Comm_size(MPI_COMM_WORLD, &size) == MPI_SUCCESS);
  REQUIRE(MPI_Comm_compare(MPI_COMM_WORLD, world.get(), &relation) == MPI_SUCCESS);
  CHECK(relation == MPI_CONGRUENT);
  CHECK(world.rank() == rank);
  CHECK(world.size() == size);

  const auto nodes = expected_nodes(size);
  const auto mine = nodes[static_cast<std::size_t>(rank)];
  CHECK(session.node_of_rank() == nodes);
  CHECK(session.nodes() == *std::max_element(nodes.begin(), nodes.end()) + 1);
  CHECK(session.node_index() == mine);
  CHECK(session.node().size() == std::count(nodes.begin(), nodes.end(), mine));
  CHECK(session.node().rank() == std::count(nodes.begin(), nodes.begin() + rank, mine));
  CHECK(static_cast<bool>(session.leaders()) == (session.node().rank() == 0));
  if (session.leaders()) CHECK(session.leaders().rank() == mine);
  CHECK(session.init_seconds() > 0);
  CHECK(session.init_seconds() < 100);
  CHECK(MpiSession::library_version().find("MPI") != std::string::npos);
}

TEST_CASE("a failed MPI call throws with call, reason and rank", "[comm]") {
  const auto& world = test_session().world();
  for (const MPI_Comm comm : {world.get(), MPI_COMM_WORLD, MPI_COMM_SELF}) {
    int value = 0;
    std::string text;
    try {
      DLSCALE_MPI(MPI_Send(&value, 1, MPI_INT, 12345, 0, comm));
    } catch (const MpiError& error) {
      text = error.what();
      CHECK(error.exit_code() == ExitCode::case_failed);
    }
    INFO(text);
    CHECK(text.find("MPI_Send failed on rank " + std::to_string(world.rank()) + ", host ") == 0);
    CHECK(text.find("MPI_ERR_RANK") != std::string::npos);
    CHECK(text.find("comm_session_test.cpp:") != std::string::npos);
  }
}

TEST_CASE("communicators are split, moved and freed", "[comm]") {
  const auto& world = test_session().world();
  Communicator halves = world.split(world.rank() % 2, -world.rank());
  CHECK(halves.size() == (world.size() + 1 - world.rank() % 2) / 2);
  CHECK(halves.rank() == halves.size() - 1 - world.rank() / 2);  // reversed by the key
  const MPI_Comm handle = halves.get();
  Communicator moved(std::move(halves));
  CHECK(moved.get() == handle);
  CHECK_FALSE(halves);  // NOLINT: a moved-from communicator is null
  halves = std::move(moved);
  CHECK(halves.get() == handle);

  const Communicator first = world.split(world.rank() == 0 ? 0 : -1, 0);
  CHECK(static_cast<bool>(first) == (world.rank() == 0));
  CHECK(world.split_node().size() == world.size());  // all tests run on one host

  for (int i = 0; i < 3000; ++i)
    world.duplicate();  // communicators run out after some thousands if not freed
}

TEST_CASE("the dissemination barrier holds back until the last has come", "[comm]") {
  const auto& world = test_session().world();
  DisseminationBarrier barrier(world);
  const int size = world.size();
  for (int late = 0; late < size; ++late) {
    MPI_Barrier(world.get());
    if (world.rank() == late) usleep(30'000);
    const std::int64_t entered_ns = now_ns();
    barrier.wait();
    const std::int64_t left_ns = now_ns();
    std::int64_t latest_entry_ns = 0;
    REQUIRE(MPI_Allreduce(&entered_ns, &latest_entry_ns, 1, MPI_INT64_T, MPI_MAX, world.get()) ==
            MPI_SUCCESS);
    CHECK(left_ns >= latest_entry_ns);  // one host, one clock
  }
}

TEST_CASE("barriers in a row, several at a time, on any number of ranks", "[comm]") {
  const auto& world = test_session().world();
  for (int members = 1; members <= world.size(); ++members) {
    const auto part = world.split(world.rank() < members ? 0 : -1, world.rank());
    if (!part) continue;
    DisseminationBarrier one(part), other(part);
    for (int i = 0; i < 500; ++i) {
      one.wait();
      if (i % 3 == 0) other.wait();
    }
    CHECK(sum_over_ranks(part, 1) == members);  // nothing of ours is left in the communicator
  }
}

namespace {

std::int64_t shift_ns = 0;
std::int64_t shifted_clock() {
  return now_ns() + shift_ns;
}

}  // namespace

TEST_CASE("clock offsets: known shifts are found within the error", "[comm]") {
  const auto& session = test_session();
  for (const std::int64_t step_ns :
       {std::int64_t{0}, std::int64_t{1'000'000'007}, std::int64_t{-5'000'000'000}}) {
    shift_ns = step_ns * session.node_index();
    const std::int64_t before_ns = shifted_clock();
    const auto table = measure_clock_offsets(session, 20, shifted_clock);
    const std::int64_t after_ns = shifted_clock();
    if (session.world().rank() != 0) {
      CHECK(table.empty());
      continue;
    }
    REQUIRE(table.size() == static_cast<std::size_t>(session.nodes()));
    for (std::size_t node = 0; node < table.size(); ++node) {
      const auto& entry = table[node];
      CHECK(entry.node == static_cast<int>(node));
      CHECK(std::abs(entry.offset_ns + step_ns * entry.node) <= entry.error_ns);
      CHECK(entry.error_ns == (entry.min_rtt_ns + 1) / 2);
      CHECK((entry.min_rtt_ns > 0) == (node > 0));
      CHECK(entry.min_rtt_ns < 1'000'000'000);
      CHECK(entry.at_ns >= before_ns);
      CHECK(entry.at_ns <= after_ns);
    }
  }
  shift_ns = 0;
}

// A rank that polls or spins takes a whole core; how much less than 2 % it is,
// tests/peers/parked_ranks.py measures on a quiet machine.
TEST_CASE("parked ranks sleep", "[comm]") {
  const auto& world = test_session().world();
  const char* asked = std::getenv("DLSCALE_TEST_PARK_SECONDS");
  const double park_s = asked != nullptr ? std::atof(asked) : 2;
  int value = world.rank() == 0 ? 42 : 0;
  MPI_Barrier(world.get());
  const double cpu_before_s = cpu_seconds();
  const auto start_ns = now_ns();
  if (world.rank() == 0) usleep(static_cast<useconds_t>(1e6 * park_s));
  broadcast_value(world, value);
  const double wall_s = seconds_since(start_ns), share = (cpu_seconds() - cpu_before_s) / wall_s;
  CHECK(value == 42);
  CHECK(share < 0.1);
  CHECK(wall_s >= 0.9 * park_s);
  const double worst = max_over_ranks(world, share);
  if (world.rank() == 0 && asked != nullptr)
    WARN("worst parked rank: " << 100 * worst << " % of a core");
}
