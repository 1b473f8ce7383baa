// SPDX-License-Identifier: BSD-3-Clause
// What is called when around the timed stretch, what becomes of a run() that throws, and that the gather
// keeps every value.
#include "measure/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "dlscale_catch.hpp"
#include "measure/batch_bytes.hpp"

using namespace dlscale;

namespace {

// Counts its calls; its parts are known numbers, its epoch the runs since begin_block().
class Scripted final : public Workload {
 public:
  std::string calls;
  int runs = 0, fail_at = -1;
  bool fail_in_reset = false, fail_in_end = false, together = false;

  void prepare() override {}
  void reset() override {
    calls += "R";
    if (fail_in_reset) throw std::runtime_error("no reset");
  }
  void begin_block(std::int32_t block) override {
    calls += block < 0 ? "b" : "B";
    runs_in_block_ = 0;
  }
  void end_block(std::int32_t block) override {
    calls += block < 0 ? "e" : "E";
    if (fail_in_end) throw std::runtime_error("no end");
  }
  void run() override {
    if (runs == fail_at && together) throw FailedTogether(ExitCode::case_failed, "run broke everywhere");
    if (runs == fail_at) throw std::runtime_error("run broke");
    calls += "r";
    ++runs, ++runs_in_block_, ++runs_since_taken_;
  }
  void take_parts(std::span<double> seconds) override {
    calls += "p";
    seconds[0] = runs_since_taken_;
    seconds[1] = 0.5;
  }
  void take_layers(std::span<double> seconds) override {
    calls += "l";
    for (double& s : seconds) s = 0.25 * runs_since_taken_;
    runs_since_taken_ = 0;
  }
  void take_buckets(std::span<double> seconds) override {
    calls += "k";
    for (double& s : seconds) s = runs;
  }
  void take_epoch(std::span<double> values) override {
    calls += "t";
    values[0] = runs_in_block_;
  }
  Check verify() override { return {}; }

 private:
  int runs_in_block_ = 0, runs_since_taken_ = 0;
};

Batch batch_of(std::int32_t samples, std::int64_t repeats, std::int32_t block) {
  Batch batch;
  batch.samples = samples;
  batch.repeats = repeats;
  batch.block = block;
  batch.phase = block < 0 ? Phase::warm_up : Phase::measured;
  return batch;
}

Sampling sampling_of(const Probes& probes) {
  return {.widths = {.probes = probes.list().size(), .parts = 2, .layers = 3, .epochs = 1}};
}

}  // namespace

TEST_CASE("parts and layers are taken after each sample, an epoch at the end of a measured block") {
  Probes probes;
  Scripted work;
  const Sampling how = sampling_of(probes);
  const OwnSamples warm = take_samples(work, batch_of(1, 1, -1), how, probes);
  CHECK(work.calls == "Rbplrple");
  CHECK(warm.epoch.empty());  // pilot and warm-up are no part of an epoch
  work.calls.clear();
  const OwnSamples own = take_samples(work, batch_of(2, 3, 0), how, probes);
  CHECK(work.calls == "RBplrrrplrrrplEt");
  CHECK(own.failure.empty());
  CHECK(own.parts == std::vector<double>{3, 0.5, 3, 0.5});  // sums over the repeats; before: discarded
  CHECK(own.layers == std::vector<double>(6, 0.75));
  CHECK(own.epoch == std::vector<double>{6});
  for (const std::int64_t start : own.start) CHECK(start > 0);
  // Without them nothing is asked for.
  work.calls.clear();
  take_samples(work, batch_of(1, 1, 0), {.widths = {.probes = probes.list().size()}}, probes);
  CHECK(work.calls == "RBrE");
}

TEST_CASE("a run that throws ends the rank's samples, and earlier ones are kept") {
  Probes probes;
  Scripted work;
  work.fail_at = 4;
  const OwnSamples own = take_samples(work, batch_of(4, 2, 3), sampling_of(probes), probes);
  CHECK(own.failure == "run broke");
  CHECK((own.start[1] > 0 && own.stop[1] >= own.start[1]));
  for (const std::size_t i : {2u, 3u}) {
    CHECK((own.start[i] == -1 && own.stop[i] == -1));
    CHECK(std::isnan(own.parts[2 * i]));
    CHECK(std::isnan(own.probes[probes.list().size() * i]));
  }
  CHECK(own.parts[2] == 2);
  CHECK(std::isnan(own.epoch[0]));

  Scripted other;
  other.fail_in_reset = true;
  CHECK(take_samples(other, batch_of(2, 1, 0), sampling_of(probes), probes).start ==
        std::vector<std::int64_t>{-1, -1});
  Scripted last;
  last.fail_in_end = true;
  const OwnSamples ended = take_samples(last, batch_of(2, 1, 0), sampling_of(probes), probes);
  CHECK(ended.failure == "no end");
  CHECK(ended.start[1] > 0);
}

TEST_CASE("of a distributed case exceptions pass through") {
  Probes probes;
  Scripted work;
  work.fail_at = 0;
  Sampling how = sampling_of(probes);
  how.distributed = true;
  CHECK_THROWS_WITH(take_samples(work, batch_of(2, 1, 0), how, probes), "run broke");
}

TEST_CASE("a failure of all participants together ends the case's samples, not the run") {
  Probes probes;
  Scripted work;
  work.fail_at = 1;
  work.together = true;
  Sampling how = sampling_of(probes);
  how.distributed = true;
  const OwnSamples own = take_samples(work, batch_of(3, 1, 0), how, probes);
  CHECK(own.failure == "run broke everywhere");
  CHECK(own.start[0] > 0);
  CHECK(own.start[1] == -1);
  CHECK(work.calls.find('E') == std::string::npos);
}

TEST_CASE("times of buckets are taken after each sample") {
  Probes probes;
  Scripted work;
  const Sampling how{.widths = {.probes = probes.list().size(), .bucket_times = 6}};
  const OwnSamples own = take_samples(work, batch_of(2, 2, 0), how, probes);
  CHECK(work.calls == "RBkrrkrrkE");
  CHECK(own.buckets == std::vector<double>{2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4});
}

TEST_CASE("what the ranks packed is unpacked by sample and participant") {
  const Widths widths{.probes = 1, .parts = 2, .layers = 1, .epochs = 2, .bucket_times = 3};
  const Batch batch = batch_of(2, 1, 5);
  std::vector<std::byte> all;
  for (int rank = 0; rank < 3; ++rank) {
    OwnSamples own = absent_samples(batch, widths);
    const double r = rank;
    own.start = {10 * rank, 10 * rank + 1};
    own.stop = {10 * rank + 5, 10 * rank + 6};
    own.probes = {r, r + 0.5};
    own.parts = {r, 10 + r, 20 + r, 30 + r};
    own.layers = {-r, -r - 1};
    own.buckets = {r, 2 * r, 3 * r, 4 * r, 5 * r, 6 * r};
    own.epoch = {100 + r, 200 + r};
    if (rank == 2) own.failure = std::string(500, 'x') + "ü";
    const auto row = pack(own);
    all.insert(all.end(), row.begin(), row.end());
  }
  BatchSamples out;
  out.batch = batch;
  unpack(all, {0, 2}, widths, out);  // rank 1 takes no part
  CHECK(out.participants == 2);
  CHECK(out.start == std::vector<std::int64_t>{0, 20, 1, 21});
  CHECK(out.stop == std::vector<std::int64_t>{5, 25, 6, 26});
  CHECK(out.probes == std::vector<double>{0, 2, 0.5, 2.5});
  CHECK(out.parts == std::vector<double>{0, 10, 2, 12, 20, 30, 22, 32});
  CHECK(out.layers == std::vector<double>{-0.0, -2, -1, -3});
  CHECK(out.buckets == std::vector<double>{0, 0, 0, 2, 4, 6, 0, 0, 0, 8, 10, 12});
  CHECK(out.epoch == std::vector<double>{100, 200, 102, 202});
  REQUIRE(out.failures.size() == 1);
  CHECK(out.failures[0].rank == 2);
  CHECK(out.failures[0].message == std::string(failure_bytes - 1, 'x'));
}

TEST_CASE("what is done before a sample is in none of its probes") {
  // Touches fresh pages before every sample.
  class Refilling final : public Workload {
   public:
    void prepare() override {}
    void before_sample() override {
      std::vector<char> fresh(std::size_t{32} << 20);
      for (std::size_t i = 0; i < fresh.size(); i += 4096) fresh[i] = 1;
    }
    void run() override {}
    Check verify() override { return {}; }
  };
  Probes probes;
  const auto& list = probes.list();
  const auto faults = std::find_if(list.begin(), list.end(),
                                   [](const Probe& probe) { return probe.name == "page_faults"; });
  REQUIRE(faults != list.end());
  Refilling workload;
  const OwnSamples own = take_samples(workload, batch_of(3, 1, 0), sampling_of(probes), probes);
  const auto column = static_cast<std::size_t>(faults - list.begin());
  // 8192 small pages, or 16 huge ones; run() itself needs none.
  for (std::size_t i = 0; i < 3; ++i) CHECK(own.probes[i * list.size() + column] < 10);
}
