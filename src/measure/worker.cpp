// SPDX-License-Identifier: BSD-3-Clause
#include "measure/worker.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/clock.hpp"
#include "measure/batch_bytes.hpp"
#include "measure/planted_loss.hpp"
#include "measure/statistics.hpp"
#include "measure/test_fault.hpp"

namespace dlscale {
namespace {

Widths widths_of(const Case& c, const Entry* entry, std::size_t probes) {
  Widths widths{.probes = probes};
  if (entry == nullptr) return widths;
  widths.parts = entry->parts.size();
  if (entry->layers) widths.layers = entry->layers(c.params).size();
  if (entry->buckets) widths.bucket_times = 3 * entry->buckets(c.params).size();
  if (c.block_samples > 0) widths.epochs = entry->epochs.size();
  return widths;
}

}  // namespace

Worker::Worker(const MpiSession& session, const Plan& plan, const Layout& layout, WorkerPlace place,
               Watchdog& watchdog, Probes& probes)
    : session_(session),
      place_(std::move(place)),
      watchdog_(watchdog),
      probes_(probes),
      crews_(session.world(), plan, layout) {}

void Worker::wait_for_root(double expected_s) {
  watchdog_.waiting(++stage_, planned_slack * expected_s, "the next command of rank 0");
}

void Worker::arrived() {
  watchdog_.working("between commands", -1, 0);
}

void Worker::busy(const char* what) {
  watchdog_.working(what, -1, 0);
}

void Worker::sleep_barrier(const char* what, double limit_s) {
  const WaitScope wait(watchdog_, ++stage_, limit_s, what);
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Ibarrier(session_.world().get(), &request));
  wait_asleep(request);
}

Agreement Worker::prepare(const Case& c) {
  const Crew& crew = crews_.of(c);
  const double expected_s =
      c.cost.memory_bytes / 50e6;  // a slow disk's swap is slower; the patience is added
  const Entry* entry = find_entry(c.workload, c.variant);
  widths_[c.id] = widths_of(c, entry, probes_.list().size());
  std::string failure;
  if (crew.own_turn >= 0) {
    watchdog_.working("preparing", c.id, planned_slack * expected_s);
    std::unique_ptr<Workload> workload;
    failure = failure_of([&] {
      if (entry == nullptr) throw Error(ExitCode::case_failed, "no such variant in this build");
      WorkContext context;
      context.params = c.params;
      context.threads = c.threads;
      context.seed = place_.seed;
      context.rank = session_.world().rank();
      context.node = place_.node;
      context.local_rank = place_.local_rank;
      context.participants = &crew.comm;
      test_fault("prepare", context.rank, c.id);
      peak_of_ = c.id;
      peak_.begin();
      workload = with_test_fault(entry->make(context), context.rank, c.id);
      workload = with_planted_loss(std::move(workload), context.rank, c.role);
    });
    // Ranks that work on one problem may wait for each other in prepare(): all of them come, or none.
    const bool all_made = entry == nullptr || !entry->is_distributed(c.params) ||
                          agree(crew.comm, failure.empty(), failure).ok;
    if (failure.empty() && all_made)
      failure = failure_of([&] {
        workload->prepare();
        prepared_[c.id] = std::move(workload);
        note_peak(c);
      });
    if (!failure.empty()) failure = fmt::format("{} on {}", failure, place_.host);
  }
  const WaitScope wait(watchdog_, ++stage_, planned_slack * expected_s, "all ranks to prepare");
  return agree(session_.world(), failure.empty(), failure);
}

OwnSamples Worker::take(const Case& c, const Batch& batch, const Crew& crew, double limit_s) {
  const Entry* entry = find_entry(c.workload, c.variant);
  const Sampling how{.align = crew.barrier.get(),
                     .distributed = entry != nullptr && entry->is_distributed(c.params),
                     .epoch_ns = place_.epoch_ns,
                     .widths = widths_.at(c.id)};
  OwnSamples own;
  const std::string failure = failure_of([&] {
    if (crew.barrier != nullptr) {
      // Who does not come is named here; the barrier right before the clock is then met by all.
      const WaitScope wait(watchdog_, stage_, limit_s, "the start of a batch");
      crew.barrier->wait();
    }
    watchdog_.working("running", c.id, limit_s);
    own = take_samples(*prepared_.at(c.id), batch, how, probes_);
  });
  // Only of a distributed case: the other ranks may wait for this one inside run().
  if (!failure.empty())
    watchdog_.fatal(fmt::format("case {} '{}' failed while it was measured ({}; rank {} on {})", c.id,
                                c.name(), failure, session_.world().rank(), place_.host));
  return own;
}

BatchSamples Worker::batch(const Case& c, const Batch& batch) {
  const std::int64_t begin = now_ns();
  const Crew& crew = crews_.of(c);
  const Widths& widths = widths_.at(c.id);
  const double limit_s = allowed_s(batch, c.predicted_s);
  OwnSamples own = absent_samples(batch, widths);
  for (int turn = 0; turn < static_cast<int>(crew.turns.size()); ++turn) {
    ++stage_;  // on all ranks, whoever meets here
    if (turn == crew.own_turn) own = take(c, batch, crew, limit_s);
    sleep_barrier("the end of a batch", limit_s);
  }
  if (crew.own_turn >= 0) note_peak(c);
  const WaitScope wait(watchdog_, ++stage_, 0, "the gather of samples");
  const std::vector<std::byte> all = gather_rows(session_, pack(own));
  BatchSamples samples;
  samples.batch = batch;
  if (session_.world().rank() == 0) unpack(all, crew.columns, widths, samples);
  samples.wall_s = seconds_since(begin);
  return samples;
}

// Until another case is prepared: then the mark is that one's.
void Worker::note_peak(const Case& c) {
  if (peak_of_ == c.id) peaks_[c.id] = peak_.bytes().value_or(not_a_number);
}

Agreement Worker::verify(const Case& c, CaseCheck& check) {
  const Crew& crew = crews_.of(c);
  const double expected_s = c.cost.memory_bytes / 50e6 + c.predicted_s;
  RankCheck own;
  std::string failure, message, results;
  if (crew.own_turn >= 0) {
    watchdog_.working("verifying", c.id, planned_slack * expected_s);
    failure = failure_of([&] {
      Workload& workload = *prepared_.at(c.id);
      Check verdict = workload.verify();
      if (test_fault("verify", session_.world().rank(), c.id)) verdict.error = not_a_number;
      own = {.error = verdict.error,
             .tolerance = verdict.tolerance,
             .took_part = 1,
             .passed = verdict.passed() ? 1 : 0,
             .memory_peak_bytes = peaks_.at(c.id)};
      message = verdict.message;
      results = workload.results();
    });
    if (!failure.empty()) failure = fmt::format("verify failed: {} on {}", failure, place_.host);
  }
  const WaitScope wait(watchdog_, ++stage_, planned_slack * expected_s, "all ranks to verify");
  const Agreement agreement = agree(session_.world(), failure.empty(), failure);
  if (!agreement.ok) return agreement;
  const auto rows = gather_rows(session_, std::as_bytes(std::span(&own, 1)));
  const std::vector<std::string> texts = gather_texts(session_.world(), results),
                                 messages = gather_texts(session_.world(), message);
  if (session_.world().rank() != 0) return agreement;
  double worst_ratio = -1;
  for (int rank = 0; rank < session_.world().size(); ++rank) {
    RankCheck one;
    std::memcpy(&one, rows.data() + static_cast<std::size_t>(rank) * sizeof one, sizeof one);
    if (one.took_part == 0) continue;
    if (one.passed == 0) ++check.failures;
    if (std::isnan(check.memory_peak_bytes) || one.memory_peak_bytes > check.memory_peak_bytes) {
      check.memory_peak_bytes = one.memory_peak_bytes;
      check.memory_peak_rank = rank;
    }
    const double ratio = Check{.error = one.error, .tolerance = one.tolerance}.ratio();
    if (ratio > worst_ratio || check.worst_rank < 0) {
      worst_ratio = ratio;
      check.worst = one;
      check.worst_rank = rank;
      check.message = messages[static_cast<std::size_t>(rank)];
    }
    if (check.results.empty()) check.results = texts[static_cast<std::size_t>(rank)];
  }
  return agreement;
}

void Worker::release(const Case& c) {
  prepared_.erase(c.id);
  widths_.erase(c.id);
  peaks_.erase(c.id);
}

std::vector<ClockOffset> Worker::clocks() {
  const WaitScope wait(watchdog_, ++stage_, 0, "the clock measurement");
  return measure_clock_offsets(session_);
}

}  // namespace dlscale
