// SPDX-License-Identifier: BSD-3-Clause
#include "summary/tally.hpp"

#include <cmath>

#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

Case case_of(const char* workload, int ranks) {
  Case c;
  c.workload = workload;
  c.variant = "cpu";
  c.placement = "packed";
  c.ranks = ranks;
  return c;
}

// One measured sample of each row of `times`: {start, stop} of every participant, in microseconds.
BatchSamples batch_of(const std::vector<std::vector<std::pair<int, int>>>& times,
                      Phase phase = Phase::measured) {
  BatchSamples s;
  s.batch.samples = static_cast<std::int32_t>(times.size());
  s.batch.phase = phase;
  s.batch.block = 0;
  s.participants = static_cast<std::int32_t>(times.front().size());
  for (const auto& row : times)
    for (const auto& [start, stop] : row) {
      s.start.push_back(start < 0 ? -1 : 1000L * start);
      s.stop.push_back(start < 0 ? -1 : 1000L * stop);
    }
  return s;
}

}  // namespace

TEST_CASE("waiting is what is blocked before the last rank has entered") {
  // Rank 0 enters at 2, rank 1 at 5 of their own times, and began 1 later: the last entry is at 6.
  const std::vector<double> late = {0, 1}, blocked = {5, 1}, buckets = {1, 2, 7, /* rank 1 */ 4, 5, 6};
  CHECK(bucket_waiting(late, buckets, blocked) == std::vector<double>{4, 0});
  // It was not blocked while it waited: its wait covers the 1.5 before its end alone.
  CHECK(bucket_waiting(late, buckets, std::vector<double>{1.5, 1}) == std::vector<double>{0.5, 0});
}

TEST_CASE("a second reduction is waited for only when the first is done") {
  const std::vector<double> late = {0, 0}, blocked = {8, 2},
                            buckets = {1, 2, 6, 2, 3, 10, /* rank 1 */ 1, 4, 6, 2, 7, 9};
  // First: entered at 2, the other at 4: 2. Second: begins at 6 where the first ended, the other at 7.
  CHECK(bucket_waiting(late, buckets, blocked) == std::vector<double>{3, 0});
}

TEST_CASE("a bucket whose times are missing makes no waiting known") {
  const std::vector<double> late = {0, 0}, blocked = {1, 1}, buckets = {1, not_a_number, 2, 1, 1, 2};
  const auto waited = bucket_waiting(late, buckets, blocked);
  CHECK(std::isnan(waited[0]));
  CHECK(bucket_waiting(late, {}, blocked).size() == 2);
  CHECK(std::isnan(bucket_waiting(late, {}, blocked)[1]));
}

TEST_CASE("means over samples that all participants have, on the common clock") {
  Tally tally(case_of("collective", 2), {0, 1});
  tally.set_clocks({{0, 0}, {-2000, 0}});  // rank 1's clock is 2 µs ahead
  // Starts 0 and 3 on the common clock: T 10, d 10 and 7, W 3 and 0.
  tally.observe(batch_of({{{0, 10}, {5, 12}}, {{0, 10}, {-1, -1}}}));
  tally.observe(batch_of({{{0, 500}, {5, 900}}}, Phase::warm_up));
  const CaseMeans m = tally.means();
  CHECK(m.wall == Approx(10e-6));
  CHECK(m.own == Approx(8.5e-6));
  CHECK(m.blocked == Approx(8.5e-6));
  CHECK(m.waiting == Approx(1.5e-6));
  CHECK(m.arrival == Approx(3e-6));
  REQUIRE(m.rank_own.size() == 2);
  CHECK(m.rank_own[0] == Approx(10e-6));
  CHECK(m.rank_own[1] == Approx(7e-6));
}

TEST_CASE("parts and repetitions: everything is per repetition") {
  Tally tally(case_of("train_parallel", 2), {4, 5});
  BatchSamples s = batch_of({{{0, 100}, {0, 80}}});
  s.batch.repeats = 10;
  s.parts = {60e-6, 40e-6, 70e-6, 10e-6};  // [rank][forward, reduce]
  tally.observe(s);
  const CaseMeans m = tally.means();
  CHECK(m.wall == Approx(10e-6));
  CHECK(m.own == Approx(9e-6));
  CHECK(m.blocked == Approx(2.5e-6));
  CHECK(m.parts.at("forward") == Approx(6.5e-6));
  CHECK(std::isnan(m.waiting));  // one set of bucket times can't stand for ten repetitions
}

TEST_CASE("nothing measured, nothing known") {
  const CaseMeans m = Tally(case_of("pdgemm", 2), {0, 1}).means();
  CHECK(std::isnan(m.wall));
  CHECK(std::isnan(m.rank_own.at(0)));
  CHECK(m.pairs.empty());
}
