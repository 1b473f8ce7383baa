// SPDX-License-Identifier: BSD-3-Clause
// Every entry of the registry: its own examples run, verify, and cost something sensible, on every rank
// count; what it tells of its parts, layers and epochs has the promised size and sum.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "comm/agreement.hpp"
#include "dlscale_catch.hpp"
#include "measure/probes.hpp"
#include "measure/sampler.hpp"
#include "test_session.hpp"
#include "workloads/contract.hpp"

using namespace dlscale;

namespace {

constexpr std::int64_t most_samples = 200;  // of an epoch that a test waits for

WorkContext context_of(const Params& params) {
  const Communicator& world = test_session().world();
  WorkContext context;
  context.params = params;
  // Threads that spin for each other's cores would take minutes.
  const bool room = 2 * static_cast<unsigned>(world.size()) <= std::thread::hardware_concurrency();
  context.threads = room || world.size() <= 2 ? 2 : 1;
  context.seed = 7;
  context.rank = world.rank();
  context.participants = &world;
  return context;
}

Widths widths_of(const Entry& entry, const Params& params, const Probes& probes) {
  Widths widths{.probes = probes.list().size(), .parts = entry.parts.size()};
  if (entry.layers) widths.layers = entry.layers(params).size();
  if (entry.buckets) widths.bucket_times = 3 * entry.buckets(params).size();
  if (entry.block_samples && entry.block_samples(params, test_session().world().size()) > 0)
    widths.epochs = entry.epochs.size();
  return widths;
}

// What is wrong with a batch as the workload told it; empty when nothing is.
std::string wrong(const OwnSamples& own, const Widths& widths) {
  if (!own.failure.empty()) return own.failure;
  const auto is_time = [](double s) { return s >= 0 && std::isfinite(s); };
  if (!std::all_of(own.layers.begin(), own.layers.end(), is_time)) return "a layer has no time";
  if (!std::all_of(own.parts.begin(), own.parts.end(), is_time)) return "a part has no time";
  for (std::size_t i = 0; i + 2 < own.buckets.size(); i += 3)
    if (!(own.buckets[i] > 0 && own.buckets[i] <= own.buckets[i + 1] &&
          own.buckets[i + 1] <= own.buckets[i + 2] && own.buckets[i + 2] < 1e3))
      return "a bucket's times are out of order";
  // Which of an epoch's values a case has is its own affair; one at least it must have.
  if (!own.epoch.empty() &&
      !std::any_of(own.epoch.begin(), own.epoch.end(), [](double v) { return std::isfinite(v); }))
    return "an epoch has no values";
  if (widths.parts == 0) return {};
  // The sample nearest to its sum is judged: between two readings the system may take the core away.
  double least = INFINITY;
  for (std::size_t i = 0; i < own.start.size(); ++i) {
    const double sample = 1e-9 * static_cast<double>(own.stop[i] - own.start[i]);
    const double* parts = &own.parts[i * widths.parts];
    const double off = std::fabs(std::accumulate(parts, parts + widths.parts, 0.0) - sample);
    least = std::min(least, off - 0.02 * sample);
  }
  return least <= 50e-6 ? "" : "parts don't sum to the sample: off by " + std::to_string(least) + " s";
}

// Runs two batches as the sampler does, the second one a measured block, and verifies.
std::string failure_in(const Entry& entry, const Params& params) {
  std::string what;
  try {
    Probes probes;
    const Widths widths = widths_of(entry, params, probes);
    const auto workload = entry.make(context_of(params));
    workload->prepare();
    for (const std::int32_t block : {-1, 0}) {
      Batch batch;
      batch.block = block;
      batch.samples = block < 0 ? 1 : 2;
      batch.repeats = block < 0 ? 2 : 1;  // what compounds must be undone by reset()
      if (widths.epochs > 0) {
        const std::int64_t epoch = entry.block_samples(params, test_session().world().size());
        if (block >= 0 && epoch > most_samples) continue;
        batch.repeats = 1;
        if (block >= 0) batch.samples = static_cast<std::int32_t>(epoch);
      }
      const OwnSamples own = take_samples(
          *workload, batch, {.distributed = entry.is_distributed(params), .widths = widths}, probes);
      if (what.empty()) what = wrong(own, widths);
    }
    if (!what.empty()) return what;
    if (const Check check = workload->verify(); !check.passed())
      what = "error " + to_text(check.error) + ", tolerance " + to_text(check.tolerance) + " (" +
             check.method + ")";
  } catch (const std::exception& e) {
    what = e.what();
  }
  return what;
}

}  // namespace

TEST_CASE("every workload passes its own examples on every rank") {
  const Communicator& world = test_session().world();
  int examples = 0;
  for (const Entry& entry : registry()) {
    if (entry.variant != "cpu") continue;
    for (const Params& params : entry.examples()) {
      if (entry.unavailable && !entry.unavailable(params).empty()) continue;
      if (entry.unsuited && !entry.unsuited(params, world.size()).empty()) continue;
      ++examples;
      const Cost cost = entry.cost(params, world.size(), 2);
      const std::string sentence = entry.validate(params);
      const std::string what = failure_in(entry, params);
      // Agree first, then require: a rank that fails alone must not leave the others waiting.
      const Agreement all = agree(world, what.empty(), what);
      std::string keys;
      for (const auto& [key, value] : params.items()) keys += " " + key + "=" + to_text(value);
      CAPTURE(entry.name, keys, all.rank, all.message);
      CHECK(all.ok);
      CHECK(sentence.empty());
      for (const double number :
           {cost.flops, cost.bytes_touched, cost.bytes_sent, cost.memory_bytes, cost.items})
        CHECK((std::isfinite(number) && number >= 0));
      if (entry.rate == RateKind::images) CHECK(cost.items > 0);
      for (const Key& key : entry.keys) CHECK(params.has(key.name));
    }
  }
  CHECK(examples >= 50);
}

TEST_CASE("names and work of parts, layers and epochs") {
  const int ranks = test_session().world().size();
  for (const Entry& entry : registry()) {
    CAPTURE(entry.name, entry.variant);
    for (const std::string& part : entry.parts) CHECK((!part.empty() && part.size() <= 64));
    for (const Column& column : entry.epochs)
      CHECK((!column.name.empty() && column.name.size() <= 64 && column.unit.size() <= 64 &&
             !column.description.empty() && column.description.size() <= 256));
    if (!entry.epochs.empty()) CHECK(entry.block_samples != nullptr);
    for (const Params& params : entry.examples()) {
      if (entry.block_samples) CHECK(entry.block_samples(params, ranks) >= 0);
      if (!entry.layers) continue;
      double flops = 0;
      for (const Piece& piece : entry.layers(params)) {
        CHECK((!piece.name.empty() && piece.name.size() <= 96));
        CHECK((std::isfinite(piece.flops) && piece.flops >= 0));
        CHECK((std::isfinite(piece.bytes) && piece.bytes >= 0));
        flops += piece.flops;
      }
      // Layers are per rank; what they do together is no more than the case (rounding apart).
      const Cost cost = entry.cost(params, ranks, 2);
      CHECK(flops <= cost.flops / (entry.is_distributed(params) ? ranks : 1) * 1.001);
    }
  }
}
