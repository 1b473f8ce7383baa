// SPDX-License-Identifier: BSD-3-Clause
#include "comm/agreement.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "dlscale_catch.hpp"
#include "test_session.hpp"

using namespace dlscale;

namespace {

/// Byte i of a rank's row: rows differ in every byte and in their order.
std::byte row_byte(int rank, std::size_t i) {
  return static_cast<std::byte>((static_cast<std::size_t>(rank) * 131 + i * 7 + i / 251) & 0xff);
}

std::vector<std::byte> row_of(int rank, std::size_t bytes) {
  std::vector<std::byte> row(bytes);
  for (std::size_t i = 0; i < bytes; ++i) row[i] = row_byte(rank, i);
  return row;
}

std::size_t wrong_bytes(const std::vector<std::byte>& all, int ranks, std::size_t bytes) {
  std::size_t wrong = 0;
  for (int rank = 0; rank < ranks; ++rank)
    for (std::size_t i = 0; i < bytes; ++i)
      wrong += all[static_cast<std::size_t>(rank) * bytes + i] != row_byte(rank, i) ? 1 : 0;
  return wrong;
}

}  // namespace

TEST_CASE("agreement: all well, one fails, all fail", "[comm]") {
  const auto& world = test_session().world();
  const auto well = agree(world, true, "not looked at");
  CHECK(well.ok);
  CHECK(well.rank == -1);
  CHECK(well.failures == 0);
  CHECK(well.message.empty());
  for (int failing = 0; failing < world.size(); ++failing) {
    const bool ok = world.rank() < failing;  // this rank and all above fail
    const auto answer = agree(world, ok, "rank " + std::to_string(world.rank()) + " is out of memory");
    CHECK_FALSE(answer.ok);
    CHECK(answer.rank == failing);
    CHECK(answer.failures == world.size() - failing);
    CHECK(answer.message == "rank " + std::to_string(failing) + " is out of memory");
  }
  const auto silent = agree(world, world.rank() != world.size() - 1, "");
  CHECK(silent.rank == world.size() - 1);
  CHECK(silent.message.empty());
}

TEST_CASE("bytes and values reach all from any root", "[comm]") {
  const auto& world = test_session().world();
  for (int root = 0; root < world.size(); ++root)
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20}) {
      const std::string sent(size, static_cast<char>('a' + root));
      std::string bytes = world.rank() == root ? sent : "something else";
      broadcast_bytes(world, bytes, root);
      CHECK(bytes == sent);
    }
  struct Pair {
    double a;
    std::int64_t b;
  } pair{world.rank() * 1.5, world.rank()};
  broadcast_value(world, pair, world.size() - 1);
  CHECK(pair.a == (world.size() - 1) * 1.5);
  CHECK(pair.b == world.size() - 1);
}

TEST_CASE("maximum and sum; a NaN is never lost", "[comm]") {
  const auto& world = test_session().world();
  const int size = world.size(), rank = world.rank();
  CHECK(max_over_ranks(world, -1.0 - rank) == -1.0);
  CHECK(max_over_ranks(world, -std::numeric_limits<double>::infinity()) ==
        -std::numeric_limits<double>::infinity());
  CHECK(sum_over_ranks(world, (std::int64_t{1} << 40) + rank) ==
        (std::int64_t{1} << 40) * size + size * (size - 1) / 2);
  for (int bad = 0; bad < size; ++bad)
    CHECK(
        std::isnan(max_over_ranks(world, rank == bad ? std::numeric_limits<double>::quiet_NaN() : 7.0)));
}

TEST_CASE("texts of different length arrive in rank order", "[comm]") {
  const auto& world = test_session().world();
  for (int root = 0; root < world.size(); ++root) {
    // Rank 0 says nothing; the last rank's text does not fit one piece (8 MiB).
    const auto length = [&](int rank) {
      return rank == world.size() - 1 && rank > 0 ? (std::size_t{9} << 20) + 5
                                                  : static_cast<std::size_t>(rank) * 1000;
    };
    const auto texts = gather_texts(
        world, std::string(length(world.rank()), static_cast<char>('a' + world.rank())), root);
    CHECK(texts.size() == (world.rank() == root ? static_cast<std::size_t>(world.size()) : 0));
    for (std::size_t r = 0; r < texts.size(); ++r)
      CHECK((texts[r] == std::string(length(static_cast<int>(r)), static_cast<char>('a' + r))));
  }
}

TEST_CASE("rows arrive in world rank order, whatever the pieces", "[comm]") {
  const auto& session = test_session();
  const auto& world = session.world();
  const int size = world.size();
  for (const std::size_t bytes : {0, 1, 7, 800, 4099})
    for (const std::size_t piece : {1, 3, 64, 800, 1 << 20}) {
      if (bytes / piece > 1000) continue;  // a message per byte takes its time
      const auto all = gather_rows(session, row_of(world.rank(), bytes), piece);
      CHECK(all.size() == (world.rank() == 0 ? bytes * static_cast<std::size_t>(size) : 0));
      if (world.rank() == 0) CHECK(wrong_bytes(all, size, bytes) == 0);
    }
}

TEST_CASE("rows of different length are refused on every rank", "[comm]") {
  const auto& session = test_session();
  const auto& world = session.world();
  if (world.size() == 1) return;
  const bool longer = world.rank() == world.size() - 1;
  CHECK_THROWS_AS(gather_rows(session, row_of(world.rank(), longer ? 101 : 100)), Error);
  CHECK(sum_over_ranks(world, 1) == world.size());  // and the communicators are still in step
}

TEST_CASE("more than 2^32 bytes in all", "[.large]") {
  const auto& session = test_session();
  const auto& world = session.world();
  const std::size_t bytes = (std::size_t{1} << 32) / static_cast<std::size_t>(world.size()) + 4099;
  const auto all = gather_rows(session, row_of(world.rank(), bytes));
  if (world.rank() != 0) return;
  REQUIRE(all.size() == bytes * static_cast<std::size_t>(world.size()));
  CHECK(wrong_bytes(all, world.size(), bytes) == 0);
}
