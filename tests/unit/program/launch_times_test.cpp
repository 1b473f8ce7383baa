// SPDX-License-Identifier: BSD-3-Clause
#include "launch_times.hpp"

#include <time.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000, now = 1'700'000'000 * second_ns;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::string at(std::int64_t ns) {
  return std::to_string(ns);
}

}  // namespace

TEST_CASE("a launch time is a number of the last day, before main") {
  CHECK(launch_time(at(now - second_ns).c_str(), now) == now - second_ns);
  CHECK(launch_time(at(now).c_str(), now) == now);
  CHECK_FALSE(launch_time(nullptr, now));
  for (const std::string& bad :
       {std::string(), std::string(" "), std::string("yesterday"), std::string("1e18"),
        at(now - second_ns) + "x", " " + at(now - second_ns), at(now + 1), at(now - 90'000 * second_ns),
        std::string("0"), std::string("-5"), std::string("99999999999999999999")}) {
    INFO(bad);
    CHECK_FALSE(launch_time(bad.c_str(), now));
  }
}

TEST_CASE("the latest rank and the slowest of each kind are named") {
  const std::vector<StartTimes> ranks = {{now + 3 * second_ns, 0.5, 1.0},
                                         {now + 7 * second_ns, 4.5, 1.25},
                                         {now + 4 * second_ns, 1.5, 1.5}};
  const auto start = start_json(now, ranks);
  CHECK(start["launch_s"]["root"] == 3.0);
  CHECK(start["launch_s"]["latest"] == 7.0);
  CHECK(start["launch_s"]["latest_rank"] == 1);
  CHECK(start["loading_s"] ==
        nlohmann::json{{"min", 0.5}, {"median", 1.5}, {"max", 4.5}, {"slowest_rank", 1}});
  CHECK(start["mpi_init_s"] ==
        nlohmann::json{{"min", 1.0}, {"median", 1.25}, {"max", 1.5}, {"slowest_rank", 2}});
}

TEST_CASE("what is unknown is null") {
  const auto start = start_json(std::nullopt, {{now, unknown, 0.1}, {now, 0.25, 0.2}});
  CHECK(start["launch_s"].is_null());
  CHECK(start["loading_s"]["max"] == 0.25);
  CHECK(start["loading_s"]["slowest_rank"] == 1);
  CHECK(start_json(now, {{now, unknown, 0.1}})["loading_s"].is_null());
  const auto none = start_json(now, {});
  CHECK((none["launch_s"].is_null() && none["loading_s"].is_null() && none["mpi_init_s"].is_null()));
}

TEST_CASE("this process was created before its main, and not long ago") {
  note_main_begins();
  const StartTimes first = start_times();
  CHECK(first.main_ns / second_ns >= std::time(nullptr) - 5);
  REQUIRE(first.loading_s >= 0);
  usleep(50'000);
  note_main_begins();
  // The same creation, so that the difference is the time in between.
  CHECK(start_times().loading_s - first.loading_s >= 0.049);
  CHECK(start_times().loading_s < 3600);
}
