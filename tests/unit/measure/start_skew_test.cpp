// SPDX-License-Identifier: BSD-3-Clause
// Distributed cases, isolated or batched: scripted starts of the participants decide.
#include <cmath>

#include "dlscale_catch.hpp"
#include "measure/controller.hpp"

using namespace dlscale;

namespace {

ControllerSettings skew_settings(double budget_s, int participants) {
  ControllerSettings s;
  s.budget_s = budget_s;
  s.participants = participants;
  return s;
}

// A distributed case whose participants begin `skew_s` apart, on clocks that are `shift_s` apart.
struct SkewedPlay {
  CaseController controller;
  double once_s, skew_s, shift_s;
  bool cold = true;
  std::vector<Batch> batches;

  SkewedPlay(double once, double skew, double shift = 0, double budget_s = 3)
      : controller([&] {
          ControllerSettings s = skew_settings(budget_s, 3);
          s.distributed = true;
          return s;
        }()),
        once_s(once),
        skew_s(skew),
        shift_s(shift) {}

  void until_finished() {
    for (int i = 0; i < 1000 && !controller.finished(); ++i) {
      BatchSamples s;
      s.batch = controller.next();
      s.participants = 3;
      batches.push_back(s.batch);
      for (std::int32_t row = 0; row < s.batch.rows(); ++row) {
        // The first execution makes the connections.
        const double sample_s = cold ? 0.02 : once_s * static_cast<double>(s.batch.repeats);
        cold = false;
        for (int p = 0; p < 3; ++p) {
          const double start = 1 + row + p * (skew_s / 2 + shift_s);
          s.start.push_back(std::llround(1e9 * start));
          s.stop.push_back(std::llround(1e9 * (start + sample_s)));
        }
        s.wall_s += sample_s;
      }
      controller.observe(s);
    }
  }
  double sample_s() const { return once_s * static_cast<double>(controller.state().repeats); }
};

}  // namespace

TEST_CASE("ranks that begin together: a distributed case is measured one execution at a time") {
  // Per-rank cases of half a millisecond are repeated.
  SkewedPlay play(500e-6, 10e-6);
  play.until_finished();
  CHECK(play.controller.state().repeats == 1);
  CHECK(play.controller.start_skew_s() == Approx(10e-6).epsilon(1e-3));
  CHECK(play.controller.reported().median == Approx(500e-6));
}

TEST_CASE("a start skew above 5 % of the time: repeats, so many that it is no longer") {
  // 30 µs of 500 µs are 6 %; the sample has to be at least 600 µs.
  SkewedPlay play(500e-6, 30e-6);
  play.until_finished();
  CHECK(play.controller.state().repeats > 1);
  CHECK(play.controller.start_skew_s() <= 0.05 * play.sample_s());
  // 3 ms need samples of 60 ms: more than what a short kernel's are stretched to.
  SkewedPlay wide(500e-6, 3e-3);
  wide.until_finished();
  CHECK(wide.controller.start_skew_s() == Approx(3e-3).epsilon(1e-3));
  CHECK(wide.controller.start_skew_s() <= 0.0501 * wide.sample_s());
  // A skew no sample within the budget could hide: batched all the same, within the block's share.
  SkewedPlay hopeless(0.03, 0.5);
  hopeless.until_finished();
  CHECK(hopeless.controller.state().repeats >= 2);
  CHECK(hopeless.sample_s() <= 0.4 + 0.03);
}

TEST_CASE("an execution too short to be timed is repeated even without a skew") {
  SkewedPlay play(2e-6, 0);
  play.until_finished();
  CHECK(play.sample_s() >= 0.5 * 50e-6);
  CHECK(play.batches[1].repeats == 1);  // the cold pilot looked long enough
}

TEST_CASE("clocks: offsets are taken out of the skew, twice their error counts as skew") {
  const auto shifted = [](std::int64_t error_ns, bool known) {
    SkewedPlay play(500e-6, 10e-6, 0.25);  // clocks a quarter of a second apart
    if (known)
      play.controller.set_clocks({{0, 0}, {-250'000'000, error_ns}, {-500'000'000, error_ns / 2}});
    play.until_finished();
    return play;
  };
  const SkewedPlay exact = shifted(500, true);
  CHECK(exact.controller.start_skew_s() == Approx(10e-6).epsilon(1e-3));
  CHECK(exact.controller.clock_error_s() == Approx(1e-6));
  CHECK(exact.controller.state().repeats == 1);
  // 10 µs + 2 · 10 µs are 6 % of 500 µs.
  const SkewedPlay vague = shifted(10'000, true);
  CHECK(vague.controller.state().repeats > 1);
  CHECK(0.05 * vague.sample_s() >= 30e-6);
  // Without the offsets the skew would seem to be half a second.
  CHECK(shifted(0, false).controller.start_skew_s() > 0.4);
}

TEST_CASE("a case of one execution per sample keeps it, whatever the skew") {
  SkewedPlay play(500e-6, 1e-3);
  ControllerSettings s = skew_settings(3, 3);
  s.distributed = s.single = true;
  play.controller = CaseController(s);
  play.until_finished();
  CHECK(play.controller.state().repeats == 1);
  SkewedPlay free(500e-6, 1e-3);
  free.until_finished();
  CHECK(free.controller.state().repeats > 1);
}

TEST_CASE("blocks that are whole units keep one execution per sample, whatever the skew") {
  SkewedPlay play(500e-6, 1e-3);
  ControllerSettings s = skew_settings(3, 3);
  s.distributed = true;
  s.block_samples = 5;
  play.controller = CaseController(s);
  play.until_finished();
  CHECK(play.controller.state().repeats == 1);
}
