// SPDX-License-Identifier: BSD-3-Clause
// Material for the test of the harness itself (comm_harness.sh): hidden tests that fail, or break off,
// on one rank only.
#include <cstdlib>

#include "comm/agreement.hpp"
#include "dlscale_catch.hpp"
#include "test_session.hpp"

using namespace dlscale;

namespace {

bool chosen() {
  const char* rank = std::getenv("DLSCALE_TEST_FAIL_RANK");
  return rank != nullptr && std::atoi(rank) == test_session().world().rank();
}

}  // namespace

TEST_CASE("harness: one rank fails a check", "[.harness-check]") {
  CHECK_FALSE(chosen());
}

TEST_CASE("harness: one rank leaves a test that the others finish together", "[.harness-leave]") {
  REQUIRE_FALSE(chosen());
  CHECK(sum_over_ranks(test_session().world(), 1) == test_session().world().size());
}

TEST_CASE("harness: one rank throws", "[.harness-throw]") {
  if (chosen()) throw std::runtime_error("thrown on purpose");
}

TEST_CASE("harness: all is well", "[.harness-pass]") {
  CHECK(true);
}
