// SPDX-License-Identifier: BSD-3-Clause
#include "base/text.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/params.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;

TEST_CASE("nearest finds slips and refuses nonsense") {
  const std::vector<std::string> keys = {"blocks", "interleave", "trans_a", "trans_b", "m"};
  CHECK(nearest("block", keys) == "blocks");
  CHECK(nearest("interlaeve", keys) == "interleave");
  CHECK(nearest("Trans_A", keys) == "trans_a");
  CHECK_FALSE(nearest("zebra", keys).has_value());
  CHECK_FALSE(nearest(std::string(100000, 'b'), keys).has_value());
  CHECK(suggest("zebra", keys) == "valid: blocks, interleave, trans_a, trans_b, m");
}

TEST_CASE("durations") {
  CHECK(parse_duration("90") == 90.0);
  CHECK(parse_duration(" 10min ") == 600.0);
  CHECK(parse_duration("1.5h") == 5400.0);
  CHECK(*parse_duration("250ms") == Approx(0.25));
  for (const char* bad : {"", "s", "-1s", "1x", "nan", "inf", "1e400", "1 s s"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad).has_value());
  }
}

TEST_CASE("numbers as people write them") {
  CHECK(format_si(54.3e9, "FLOP/s") == "54.3 GFLOP/s");
  CHECK(format_si(999.6e9, "FLOP/s") == "1 TFLOP/s");
  CHECK(format_seconds(1.234e-3) == "1.23 ms");
  CHECK(format_seconds(59.5e-9) == "59.5 ns");
  CHECK(format_seconds(125) == "2 min 5 s");
  CHECK(format_bytes(1.5 * 1024 * 1024) == "1.5 MiB");
  CHECK(format_si(std::numeric_limits<double>::quiet_NaN(), "B/s") == "n/a");
}

TEST_CASE("patterns") {
  CHECK(matches_pattern("gemm f64 alone", "gemm*"));
  CHECK(matches_pattern("gemm f64 alone", "*f64*"));
  CHECK(matches_pattern("gemm", "ge?m"));
  CHECK_FALSE(matches_pattern("gemm", "gem"));
  CHECK_FALSE(matches_pattern("gemm f32", "*f64*"));
  CHECK(matches_pattern("", "*"));
  CHECK_FALSE(matches_pattern(std::string(2000, 'a'), "*a*a*a*a*a*a*a*b"));
}

TEST_CASE("sentences: problem (why) what to do") {
  CHECK(sentence("key 'x' unknown", "job.toml:3", "did you mean 'y'?") ==
        "key 'x' unknown (job.toml:3) did you mean 'y'?");
  CHECK(sentence("can't write", "", "choose another -o") == "can't write; choose another -o");
}

TEST_CASE("scalars keep their kind as text") {
  CHECK(to_text(Scalar{1.0}) == "1.0");
  CHECK(to_text(Scalar{1e300}) == "1e+300");
  CHECK(to_text(Scalar{std::int64_t{7}}) == "7");
  Params params;
  params.set("m", std::int64_t{3});
  params.set("m", std::int64_t{4});
  CHECK(params.items().size() == 1);
  CHECK(params.integer("m") == 4);
  CHECK(params.number("m") == 4.0);
  CHECK_THROWS_AS(params.at("n"), std::out_of_range);
}

TEST_CASE("the clock advances and knows its cost") {
  const ClockFacts facts = measure_clock();
  CHECK(facts.cost_s > 0);
  CHECK(facts.cost_s < 1e-4);
  CHECK(facts.resolution_s > 0);
  CHECK(facts.resolution_s < 1e-3);
}
