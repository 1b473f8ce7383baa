// SPDX-License-Identifier: BSD-3-Clause
#include "measure/sampler.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "measure/statistics.hpp"

namespace dlscale {
namespace {

// Slow probes are read before a sample as well: half of what end() wants leaves room for a faster one.
constexpr double likely_long_s = Probes::slow_from_s / 2;

std::span<double> row_of(std::vector<double>& values, std::size_t row, std::size_t width) {
  return std::span(values).subspan(row * width, width);
}

// What the workload timed since the last call, into sample `row`.
void take_pieces(Workload& workload, const Widths& widths, std::size_t row, OwnSamples& own) {
  if (widths.parts > 0) workload.take_parts(row_of(own.parts, row, widths.parts));
  if (widths.layers > 0) workload.take_layers(row_of(own.layers, row, widths.layers));
  if (widths.bucket_times > 0) workload.take_buckets(row_of(own.buckets, row, widths.bucket_times));
}

// reset() and what is to be done before the first sample. What the workload timed so far is discarded.
void begin_batch(Workload& workload, const Batch& batch, const Widths& widths) {
  workload.reset();
  workload.begin_block(batch.block);
  std::vector<double> parts(widths.parts), layers(widths.layers), buckets(widths.bucket_times);
  if (!parts.empty()) workload.take_parts(parts);
  if (!layers.empty()) workload.take_layers(layers);
  if (!buckets.empty()) workload.take_buckets(buckets);
}

void end_batch(Workload& workload, const Batch& batch, OwnSamples& own) {
  workload.end_block(batch.block);
  if (!own.epoch.empty()) workload.take_epoch(own.epoch);
}

}  // namespace

OwnSamples absent_samples(const Batch& batch, const Widths& widths) {
  const auto rows = static_cast<std::size_t>(batch.rows());
  OwnSamples own;
  own.start.assign(rows, -1);
  own.stop.assign(rows, -1);
  own.probes.assign(rows * widths.probes, not_a_number);
  own.parts.assign(rows * widths.parts, not_a_number);
  own.layers.assign(rows * widths.layers, not_a_number);
  own.buckets.assign(rows * widths.bucket_times, not_a_number);
  own.epoch.assign(batch.block >= 0 ? widths.epochs : 0, not_a_number);
  return own;
}

OwnSamples take_samples(Workload& workload, const Batch& batch, const Sampling& how, Probes& probes) {
  const Widths& widths = how.widths;
  OwnSamples own = absent_samples(batch, widths);
  // Of a distributed case the others wait inside run(): the caller must end the whole run, unless all
  // failed together.
  const auto well = [&](auto&& action) {
    if (!how.distributed) {
      own.failure = failure_of(action);
      return own.failure.empty();
    }
    try {
      action();
    } catch (const FailedTogether& failure) {
      own.failure = failure.what();
    }
    return own.failure.empty();
  };
  const bool begun = well([&] { begin_batch(workload, batch, widths); });
  const std::int64_t repeats = batch.repeats;
  double last_s = batch.expected_s / batch.rows();
  for (std::size_t i = 0; i < own.start.size(); ++i) {
    const bool ready = begun && well([&] { workload.before_sample(); });
    // An epoch's counters are sums over its samples: none may be missing.
    probes.begin(last_s <= 0 || last_s >= likely_long_s, widths.epochs > 0);
    // A rank that has failed meets the others all the same.
    if (how.align != nullptr && (how.distributed || i == 0)) how.align->wait();
    if (!ready) return own;
    std::int64_t start = 0, stop = 0;
    const bool done = well([&] {
      start = now_ns();
      for (std::int64_t r = 0; r < repeats; ++r) workload.run();
      workload.finish();
      stop = now_ns();
    });
    if (!done) return own;
    last_s = 1e-9 * static_cast<double>(stop - start);
    probes.end(last_s, &own.probes[i * widths.probes]);
    if (!well([&] { take_pieces(workload, widths, i, own); })) return own;
    own.start[i] = start - how.epoch_ns;
    own.stop[i] = stop - how.epoch_ns;
  }
  well([&] { end_batch(workload, batch, own); });
  return own;
}

}  // namespace dlscale
