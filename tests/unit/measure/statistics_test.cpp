// SPDX-License-Identifier: BSD-3-Clause
#include "measure/statistics.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "dlscale_catch.hpp"
#include "measure/controller.hpp"
#include "measure/warmup.hpp"

using namespace dlscale;
using List = std::vector<double>;

TEST_CASE("median on few known numbers") {
  CHECK(std::isnan(median(List{})));
  CHECK(median(List{3}) == 3);
  CHECK(median(List{4, 1}) == 2.5);
  CHECK(median(List{9, 1, 5}) == 5);
  CHECK(median(List{4, 1, 3, 2}) == 2.5);
  CHECK(std::isnan(median(List{1, std::nan(""), 3})));
}

TEST_CASE("percentile by nearest rank") {
  CHECK(percentile(List{5}, 0.95) == 5);
  CHECK(percentile(List{1, 2, 3, 4}, 0.5) == 2);
  CHECK(percentile(List{4, 3, 2, 1}, 1.0) == 4);
  CHECK(percentile(List{4, 3, 2, 1}, 0.0) == 1);
  List hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  CHECK(percentile(hundred, 0.95) == 95);
}

TEST_CASE("median absolute deviation") {
  CHECK(median_absolute_deviation(List{1, 1, 2, 2, 4, 6, 9}) == 1);
  CHECK(median_absolute_deviation(List{7, 7, 7}) == 0);
}

TEST_CASE("order statistics cover what the binomial says") {
  CHECK_FALSE(order_ranks(5, 0.95).has_value());  // 1 − 2/32 = 0.9375
  const auto six = order_ranks(6, 0.95);
  REQUIRE(six.has_value());
  CHECK(six->low == 0);
  CHECK(six->high == 5);
  CHECK(six->coverage == Approx(1 - 2.0 / 64));
  const auto nine = order_ranks(9, 0.95);  // 1 − 2(1 + 9)/512 = 0.961
  REQUIRE(nine.has_value());
  CHECK(nine->low == 1);
  CHECK(nine->high == 7);
  CHECK(order_ranks(2000, 0.95)->coverage >= 0.95);  // no underflow into a false certainty
}

TEST_CASE("intervals from blocks") {
  const Interval six = block_interval(List{3, 1, 2, 6, 5, 4}, 0.95);
  CHECK(six.valid);
  CHECK(six.median == 3.5);
  CHECK(six.low == 1);
  CHECK(six.high == 6);
  const Interval few = block_interval(List{3, 1, 2}, 0.95);
  CHECK_FALSE(few.valid);  // spread, but no interval
  CHECK(few.low == 1);
  CHECK(few.high == 3);
  CHECK(std::isnan(few.relative_half_width()));
  CHECK(std::isnan(block_interval(List{1, 2, 3, 4, 5, std::nan("")}, 0.95).median));
  CHECK(block_interval(List{2, 2, 2, 2, 2, 2}, 0.95).relative_half_width() == 0);
}

TEST_CASE("the interval of a ratio, and of its reciprocal") {
  const Interval a{.median = 2, .low = 1.8, .high = 2.3, .valid = true, .blocks = 6};
  const Interval b{.median = 4, .low = 3.9, .high = 4.4, .valid = true, .blocks = 8};
  const Interval ratio = mover_ratio(a, b), back = mover_ratio(b, a);
  CHECK(ratio.valid);
  CHECK(ratio.blocks == 6);
  CHECK(ratio.median == 0.5);
  // ln 0.9 and ln 1.1: √(0.10536² + 0.09531²) = 0.14207
  CHECK(ratio.low == Approx(0.5 * std::exp(-0.14207)).epsilon(1e-4));
  CHECK(ratio.low > 1.8 / 4.4);  // both at their ends at once is less likely
  CHECK(back.low == Approx(1 / ratio.high));
  CHECK(back.high == Approx(1 / ratio.low));
  Interval spread = a;
  spread.valid = false;
  CHECK_FALSE(mover_ratio(spread, b).valid);
  CHECK(mover_ratio(spread, b).high == Approx(2.3 / 3.9));
  CHECK(std::isnan(mover_ratio(Interval{}, b).median));
  CHECK(scaled(ratio, 3).high == 3 * ratio.high);
}

TEST_CASE("warm-up: a trend is not steady, noise is") {
  CHECK_FALSE(is_steady(List{1, 1, 1, 1, 1}, 0.02));  // too few to judge
  CHECK(is_steady(List{1, 1, 1, 1, 1, 1}, 0.02));
  CHECK_FALSE(is_steady(List{1.30, 1.29, 1.28, 1.0, 1.0, 1.0}, 0.02));
  CHECK_FALSE(is_steady(List{2.0, 1.8, 1.6, 1.4, 1.2, 1.0}, 0.02));
  CHECK(is_steady(List{9, 9, 9, 1.0, 1.01, 1.0, 1.0, 1.01, 1.0}, 0.02));  // only the last six count
  CHECK(is_steady(List{1.0, 1.4, 0.8, 1.3, 0.9, 1.2}, 0.02));             // within its own noise
  CHECK_FALSE(is_steady(List{1, 1, std::nan(""), std::nan(""), 1, 1}, 0.02));
}

namespace {

// Times of one rank: 1 ms with AR(1) noise of 2 %, ρ = 0.8 from sample to sample, across blocks too.
class CorrelatedNoise {
 public:
  explicit CorrelatedNoise(unsigned seed) : engine_(seed) { state_ = normal_(engine_); }
  double next() {
    state_ = rho * state_ + std::sqrt(1 - rho * rho) * normal_(engine_);
    return 1e-3 * (1 + 0.02 * state_);
  }

 private:
  static constexpr double rho = 0.8;
  std::mt19937 engine_;
  std::normal_distribution<double> normal_;
  double state_ = 0;
};

// The whole controller on such a rank: does its final interval hold the true median?
bool covers(unsigned seed, double target) {
  ControllerSettings settings;
  settings.budget_s = 0.4;
  settings.interval = target;
  settings.max_time_s = 1.2;
  CaseController controller(settings);
  CorrelatedNoise noise(seed);
  std::int64_t clock = 0;
  while (!controller.finished()) {
    BatchSamples samples;
    samples.batch = controller.next();
    samples.participants = 1;
    for (std::int32_t i = 0; i < samples.batch.rows(); ++i) {
      double took = 0;
      for (std::int64_t r = 0; r < samples.batch.repeats; ++r) took += noise.next();
      samples.start.push_back(clock);
      clock += static_cast<std::int64_t>(1e9 * took);
      samples.stop.push_back(clock);
      samples.wall_s += took;
    }
    // Other cases' blocks come in between: the noise goes on without being seen.
    if (controller.warm())
      for (int i = 0; i < 30; ++i) noise.next();
    controller.observe(samples);
  }
  const Interval interval = controller.reported();
  return interval.valid && interval.low <= 1e-3 && 1e-3 <= interval.high;
}

}  // namespace

TEST_CASE("intervals of the controller cover the truth under autocorrelated noise") {
  constexpr int runs = 2000;
  for (const double target : {0.02, 0.008}) {  // stops at six blocks; looks many times before it stops
    int hits = 0;
    for (unsigned seed = 1; seed <= runs; ++seed) hits += covers(seed, target);
    const double coverage = static_cast<double>(hits) / runs;
    CAPTURE(target, coverage);
    CHECK(coverage >= 0.94);
    WARN("coverage at target half-width " << target << ": " << coverage << " of nominal 0.95, " << runs
                                          << " runs");
  }
}
