// SPDX-License-Identifier: BSD-3-Clause
// Pilot, warm-up, blocks and stop rule with a scripted clock: known times give exactly known decisions.
#include "measure/controller.hpp"

#include <cmath>
#include <functional>

#include "dlscale_catch.hpp"
#include "measure/rounds.hpp"

using namespace dlscale;

namespace {

using Script = std::function<double(int participant, int execution)>;

struct Play {
  CaseController controller;
  Script seconds;
  int executions = 0;
  std::vector<Batch> batches;

  Play(ControllerSettings settings, Script script) : controller(settings), seconds(std::move(script)) {}

  void step() {
    BatchSamples s;
    s.batch = controller.next();
    s.participants = controller.settings().participants;
    batches.push_back(s.batch);
    for (std::int32_t i = 0; i < s.batch.rows(); ++i) {
      double longest = 0;
      for (int p = 0; p < s.participants; ++p) {
        const double t = seconds(p, executions) * static_cast<double>(s.batch.repeats);
        s.start.push_back(0);
        s.stop.push_back(std::isnan(t) ? -1 : static_cast<std::int64_t>(std::llround(1e9 * t)));
        longest = std::fmax(longest, t);
      }
      ++executions;
      s.wall_s += longest;
    }
    controller.observe(s);
  }
  void until_warm() {
    while (!controller.warm() && !controller.finished()) step();
  }
  void until_finished(int limit = 1000) {
    for (int i = 0; i < limit && !controller.finished(); ++i) step();
  }
};

ControllerSettings settings_with(double budget_s, int participants = 1) {
  ControllerSettings s;
  s.budget_s = budget_s;
  s.participants = participants;
  return s;
}

}  // namespace

TEST_CASE("a long kernel is measured one execution at a time, in six blocks") {
  Play play(settings_with(10), [](int, int) { return 0.5; });
  play.until_warm();
  // Pilot 0.5 s, then single warm-up samples until the fifth of the budget is used.
  CHECK(play.batches.size() == 4);
  for (const Batch& b : play.batches)
    CHECK((b.repeats == 1 && b.samples == 1 && b.phase == Phase::warm_up));
  const Batch block = play.controller.next();
  CHECK(block.block == 0);
  CHECK(block.lead == 0);     // half a second does not need a warm-up sample in front
  CHECK(block.samples == 2);  // (10 s − 2 s) / 6 / 0.5 s
  CHECK(block.phase == Phase::measured);
  play.until_finished();
  CHECK(play.controller.stop_reason() == "converged");
  CHECK(play.controller.blocks_done() == 6);
  CHECK(play.controller.state().measured == 12);
  CHECK(play.controller.reported().median == Approx(0.5));
}

TEST_CASE("a short kernel is repeated until a sample can be timed") {
  Play play(settings_with(2), [](int, int) { return 1e-8; });
  play.until_warm();
  CHECK(play.batches.front().repeats == 1);
  CHECK(play.batches[1].repeats == 100);  // grows at most a hundredfold at a time
  const double sample = 1e-8 * static_cast<double>(play.controller.next().repeats);
  CHECK(sample >= 0.5 * 50e-6);
  CHECK(sample <= 20e-3);
  CHECK(play.controller.next().lead == 1);
  CHECK(play.controller.steady());
  play.until_finished();
  CHECK(play.controller.reported().median == Approx(1e-8).epsilon(1e-3));
}

TEST_CASE("where one execution is a sample, it stays one however short") {
  ControllerSettings settings = settings_with(2);
  settings.single = true;
  Play play(settings, [](int, int) { return 1e-3; });
  play.until_finished();
  CHECK(play.controller.state().repeats == 1);
  for (const Batch& b : play.batches) CHECK(b.repeats == 1);
  CHECK(play.batches.back().samples == 64);
}

TEST_CASE("warm-up lasts while it is needed, and no longer than its share") {
  // Executions become faster by 5 % each until the fortieth.
  Play play(settings_with(10), [](int, int n) { return 0.02 * std::pow(0.95, std::min(n, 40)); });
  play.until_warm();
  CHECK(play.controller.steady());
  CHECK(play.executions > 40);
  CHECK(play.executions < 60);

  Play never(settings_with(1), [](int, int n) { return 0.01 * std::pow(1.1, n); });
  never.until_warm();
  CHECK_FALSE(never.controller.steady());  // recorded as unsteady
  CHECK(never.controller.spent_s() < 0.5);
}

TEST_CASE("warm-up asked for is kept") {
  ControllerSettings s = settings_with(1);
  s.warmup_s = 0.7;
  Play play(s, [](int, int) { return 0.01; });
  play.until_warm();
  CHECK(play.controller.spent_s() >= 0.7);
  CHECK(play.controller.spent_s() < 0.8);
}

TEST_CASE("blocks go on until the interval is narrow enough") {
  // Every third block is 10 % off.
  int batch = 0;
  Play play(settings_with(6), [&](int, int) { return batch % 3 == 2 ? 0.33 : 0.30; });
  play.until_warm();
  while (!play.controller.finished() && batch < 200) {
    play.step();
    ++batch;
  }
  CHECK(play.controller.blocks_done() > 6);
  CHECK(play.controller.stop_reason() != "time budget");
}

TEST_CASE("max_time ends a case that does not converge") {
  ControllerSettings s = settings_with(2);
  s.max_time_s = 4;
  Play play(s, [n = 0](int, int) mutable { return (++n / 4) % 2 == 0 ? 0.05 : 0.1; });
  play.until_finished();
  CHECK(play.controller.stop_reason() == "max_time");
  CHECK(play.controller.spent_s() <= 4.5);
  CHECK(play.controller.unconverged() == std::vector<int>{0});
}

TEST_CASE("min_time holds a case that has long converged") {
  ControllerSettings s = settings_with(1);
  s.min_time_s = 60;
  Play play(s, [](int, int) { return 0.1; });
  play.until_finished();
  CHECK(play.controller.stop_reason() == "converged");
  double measured = 0;
  for (const Batch& b : play.batches)
    if (b.phase == Phase::measured) measured += 0.1 * b.samples;
  CHECK(measured >= 60);
  CHECK(measured < 90);
}

TEST_CASE("one slow participant: every rank keeps its own median, the middle one is reported") {
  Play play(settings_with(2, 5), [](int p, int) { return p == 3 ? 0.02 : 0.01; });
  play.until_finished();
  CHECK(play.controller.reported().median == Approx(0.01));
  CHECK(median(play.controller.state().block_medians[3]) == Approx(0.02));
  CHECK(median(play.controller.state().slowest_block_medians) == Approx(0.02));

  ControllerSettings distributed = settings_with(2, 5);
  distributed.distributed = true;
  Play all(distributed, [](int p, int) { return p == 3 ? 0.02 : 0.01; });
  all.until_finished();
  CHECK(all.controller.reported().median == Approx(0.02));  // latest, never a mean
}

TEST_CASE("the rank at the 95th percentile decides, not the worst of many") {
  // 40 ranks, one of them wild: 1/40 may stay unconverged.
  Play play(settings_with(2, 40), [](int p, int n) { return p == 7 ? 0.01 * (1 + (n / 7) % 2) : 0.01; });
  play.until_finished();
  CHECK(play.controller.stop_reason() == "converged");
  CHECK(play.controller.unconverged() == std::vector<int>{7});
}

TEST_CASE("a missing time is never a fast one") {
  Play play(settings_with(1, 2), [](int p, int) { return p == 1 ? std::nan("") : 0.01; });
  for (int i = 0; i < 200 && !play.controller.finished(); ++i) play.step();
  CHECK(std::isnan(play.controller.reported().median));
  CHECK(play.controller.unconverged().size() == 1);
}

TEST_CASE("rounds: order depends on the seed alone, all cases in each") {
  const std::vector<int> ids = {3, 4, 5, 6, 7, 8};
  CHECK(shuffled_round(ids, 42, 1, 0) == shuffled_round(ids, 42, 1, 0));
  CHECK(shuffled_round(ids, 42, 1, 0) != shuffled_round(ids, 42, 1, 1));
  CHECK(shuffled_round(ids, 42, 1, 0) != shuffled_round(ids, 43, 1, 0));
  auto sorted = shuffled_round(ids, 7, 2, 5);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == ids);
}

TEST_CASE("rounds: who gets a block when time is short") {
  std::vector<CaseController> controllers;
  for (int i = 0; i < 2; ++i) {
    Play play(settings_with(4), [](int, int) { return 0.1; });
    play.until_warm();
    if (i == 1) play.step();  // has a block already
    controllers.push_back(play.controller);
  }
  // Far beyond the budget: only the one without any block is owed one.
  CHECK(next_round({0, 1}, controllers, 1000, 60, 60) == std::vector<int>{0});
  CHECK(controllers[1].stop_reason() == "time budget");
  // Short of blocks, but the next costs next to nothing: it goes on.
  Play quick(settings_with(4), [](int, int) { return 1e-7; });
  quick.until_warm();
  quick.step();
  std::vector<CaseController> cheap = {quick.controller};
  CHECK(next_round({0}, cheap, 1000, 600, 600) == std::vector<int>{0});
  // No budget: all go on.
  CHECK(next_round({0}, controllers, 1000, 0, 0) == std::vector<int>{0});
}

TEST_CASE("a block that is an epoch has exactly its samples, one repetition each") {
  // Steps of a microsecond would be repeated, and long ones would be fewer, in a block of our choice.
  for (const double step_s : {1e-6, 0.05}) {
    ControllerSettings s = settings_with(100);
    s.block_samples = 137;
    Play play(s, [&](int, int) { return step_s; });
    play.until_warm();
    CHECK(play.executions <= 10);
    for (const Batch& b : play.batches) CHECK((b.repeats == 1 && b.block == -1 && b.lead == 0));
    const std::size_t before = play.batches.size();
    play.until_finished();
    CHECK(play.controller.state().repeats == 1);
    CHECK(play.controller.blocks_done() == 6);
    CHECK(play.controller.stop_reason() == "converged");
    CHECK(play.controller.state().measured == 6 * 137);
    for (std::size_t i = before; i < play.batches.size(); ++i) {
      const Batch& b = play.batches[i];
      CHECK((b.samples == 137 && b.lead == 0 && b.repeats == 1 && b.phase == Phase::measured));
      CHECK(b.block == static_cast<std::int32_t>(i - before));
    }
  }
}

TEST_CASE("steps that never settle end an epoch's warm-up after ten samples, unless more is asked") {
  ControllerSettings s = settings_with(1000);
  s.block_samples = 4;
  Play play(s, [](int, int n) { return 0.01 * std::pow(1.3, n); });
  play.until_warm();
  CHECK(play.executions == 10);
  CHECK_FALSE(play.controller.steady());
  s.warmup_s = 3;
  Play longer(s, [](int, int) { return 0.1; });
  longer.until_warm();
  CHECK(longer.executions >= 30);
}

TEST_CASE("as few epochs as asked for are the least, and what an epoch does beside its steps counts") {
  ControllerSettings s = settings_with(100);
  s.block_samples = 10;
  s.blocks = 2;
  s.max_time_s = 5;
  Play play(s, [](int, int) { return 0.1; });
  play.until_warm();
  const double spent = play.controller.spent_s();
  while (!play.controller.finished()) {
    BatchSamples batch;
    batch.batch = play.controller.next();
    batch.participants = 1;
    batch.start.assign(10, 0);
    batch.stop.assign(10, 100'000'000);
    batch.wall_s = 1 + 0.7;  // the epoch's validation
    play.controller.observe(batch);
    CHECK(play.controller.next_block_s() == Approx(1.7));
  }
  CHECK(play.controller.blocks_done() == 2);
  CHECK(play.controller.stop_reason() == "max_time");
  CHECK(play.controller.spent_s() == Approx(spent + 3.4));
}

TEST_CASE("a turn may take five times what was measured, twenty times what was planned before") {
  Batch batch;
  batch.repeats = 10;
  batch.lead = 1;
  batch.samples = 3;
  CHECK(allowed_s(batch, 0.01) == Approx(20 * 0.01 * 10 * 4));
  batch.expected_s = 0.5;
  CHECK(allowed_s(batch, 0.01) == 2.5);
  batch.expected_s = std::nan("");  // nobody could measure it
  CHECK(allowed_s(batch, 0.01) == Approx(8));
}
