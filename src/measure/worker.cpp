// SPDX-License-Identifier: BSD-3-Clause
#include "measure/worker.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/clock.hpp"
#include "measure/sampler.hpp"
#include "measure/statistics.hpp"
#include "measure/test_fault.hpp"

namespace dlscale {
namespace {

// Planned times are estimates: patience is counted from twenty times the expected.
constexpr double slack = 20;

// One gathered row: start, stop, then the probes as raw bytes.
std::vector<std::byte> pack(const OwnSamples& own) {
  const std::size_t times = own.start.size() * sizeof(std::int64_t);
  std::vector<std::byte> row(2 * times + own.probes.size() * sizeof(double));
  std::memcpy(row.data(), own.start.data(), times);
  std::memcpy(row.data() + times, own.stop.data(), times);
  std::memcpy(row.data() + 2 * times, own.probes.data(), own.probes.size() * sizeof(double));
  return row;
}

OwnSamples absent(std::size_t rows) {
  return {std::vector<std::int64_t>(rows, -1), std::vector<std::int64_t>(rows, -1),
          std::vector<double>(rows * Probes::list().size(), not_a_number)};
}

// World-rank rows → [sample, participant] arrays.
void unpack(const std::vector<std::byte>& all, const Crew& crew, BatchSamples& out) {
  const auto rows = static_cast<std::size_t>(out.batch.rows()), width = Probes::list().size();
  const std::size_t row_bytes = rows * (2 * sizeof(std::int64_t) + width * sizeof(double));
  const std::size_t columns = crew.columns.size();
  out.participants = static_cast<std::int32_t>(columns);
  out.start.resize(rows * columns);
  out.stop.resize(rows * columns);
  out.probes.resize(rows * columns * width);
  OwnSamples own = absent(rows);
  for (std::size_t p = 0; p < columns; ++p) {
    const std::byte* row = all.data() + static_cast<std::size_t>(crew.columns[p]) * row_bytes;
    const std::size_t times = rows * sizeof(std::int64_t);
    std::memcpy(own.start.data(), row, times);
    std::memcpy(own.stop.data(), row + times, times);
    std::memcpy(own.probes.data(), row + 2 * times, rows * width * sizeof(double));
    for (std::size_t i = 0; i < rows; ++i) {
      out.start[i * columns + p] = own.start[i];
      out.stop[i * columns + p] = own.stop[i];
      for (std::size_t q = 0; q < width; ++q)
        out.probes[(i * columns + p) * width + q] = own.probes[i * width + q];
    }
  }
}

// A sentence from whatever was thrown; std::bad_alloc says nothing useful by itself.
template <class Action>
std::string failure_of(Action&& action) {
  try {
    action();
    return {};
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& e) {
    return *e.what() != '\0' ? e.what() : "failed without a message";
  }
}

}  // namespace

Worker::Worker(const MpiSession& session, const Plan& plan, const Layout& layout, WorkerPlace place,
               Watchdog& watchdog)
    : session_(session),
      plan_(plan),
      place_(std::move(place)),
      watchdog_(watchdog),
      crews_(session.world(), plan, layout) {}

void Worker::wait_for_root(double expected_s) {
  watchdog_.waiting(++stage_, slack * expected_s, "the next command of rank 0");
}

void Worker::arrived() {
  watchdog_.working("between commands", -1, 0);
}

void Worker::sleep_barrier(const char* what, double expected_s) {
  const WaitScope wait(watchdog_, ++stage_, slack * expected_s, what);
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Ibarrier(session_.world().get(), &request));
  wait_asleep(request);
}

Agreement Worker::prepare(const Case& c) {
  const Crew& crew = crews_.of(c);
  const double expected_s =
      c.cost.memory_bytes / 50e6;  // a slow disk's swap is slower; the patience is added
  std::string failure;
  if (crew.own_turn >= 0) {
    watchdog_.working("preparing", c.id, slack * expected_s);
    failure = failure_of([&] {
      const Entry* entry = find_entry(c.workload, c.variant);
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
      auto workload = entry->make(context);
      workload->prepare();
      prepared_[c.id] = std::move(workload);
    });
    if (!failure.empty()) failure = fmt::format("{} on {}", failure, place_.host);
  }
  const WaitScope wait(watchdog_, ++stage_, slack * expected_s, "all ranks to prepare");
  return agree(session_.world(), failure.empty(), failure);
}

BatchSamples Worker::batch(const Case& c, const Batch& batch) {
  const std::int64_t begin = now_ns();
  const Crew& crew = crews_.of(c);
  const Entry* entry = find_entry(c.workload, c.variant);
  const bool every = entry != nullptr && entry->distributed;
  const double expected_s =
      std::fmax(batch.expected_s, c.predicted_s * static_cast<double>(batch.repeats) * batch.rows());
  OwnSamples own = absent(static_cast<std::size_t>(batch.rows()));
  for (int turn = 0; turn < static_cast<int>(crew.turns.size()); ++turn) {
    ++stage_;  // on all ranks, whoever meets here
    if (turn == crew.own_turn) {
      const std::string failure = failure_of([&] {
        test_fault("run", session_.world().rank(), c.id);
        if (crew.barrier != nullptr) {
          // Who does not come is named here; the barrier right before the clock is then met by all.
          const WaitScope wait(watchdog_, stage_, slack * expected_s, "the start of a batch");
          crew.barrier->wait();
        }
        watchdog_.working("running", c.id, slack * expected_s);
        own = take_samples(*prepared_.at(c.id), batch, crew.barrier.get(), every, place_.epoch_ns,
                           probes_);
      });
      if (!failure.empty())
        watchdog_.fatal(fmt::format("case {} '{}' failed while it was measured ({}; rank {} on {})",
                                    c.id, c.name(), failure, session_.world().rank(), place_.host));
    }
    sleep_barrier("the end of a batch", expected_s);
  }
  const WaitScope wait(watchdog_, ++stage_, 0, "the gather of samples");
  const std::vector<std::byte> all = gather_rows(session_, pack(own));
  BatchSamples samples;
  samples.batch = batch;
  if (session_.world().rank() == 0) unpack(all, crew, samples);
  samples.wall_s = seconds_since(begin);
  return samples;
}

Agreement Worker::verify(const Case& c, CaseCheck& check) {
  const Crew& crew = crews_.of(c);
  const double expected_s = c.cost.memory_bytes / 50e6 + c.predicted_s;
  RankCheck own;
  std::string failure, results;
  if (crew.own_turn >= 0) {
    watchdog_.working("verifying", c.id, slack * expected_s);
    failure = failure_of([&] {
      Workload& workload = *prepared_.at(c.id);
      Check verdict = workload.verify();
      if (test_fault("verify", session_.world().rank(), c.id)) verdict.error = not_a_number;
      own = {verdict.error, verdict.tolerance, 1, verdict.passed() ? 1 : 0};
      results = workload.results();
    });
    if (!failure.empty()) failure = fmt::format("verify failed: {} on {}", failure, place_.host);
  }
  const WaitScope wait(watchdog_, ++stage_, slack * expected_s, "all ranks to verify");
  const Agreement agreement = agree(session_.world(), failure.empty(), failure);
  if (!agreement.ok) return agreement;
  const auto rows = gather_rows(session_, std::as_bytes(std::span(&own, 1)));
  const std::vector<std::string> texts = gather_texts(session_.world(), results);
  if (session_.world().rank() != 0) return agreement;
  double worst_ratio = -1;
  for (int rank = 0; rank < session_.world().size(); ++rank) {
    RankCheck one;
    std::memcpy(&one, rows.data() + static_cast<std::size_t>(rank) * sizeof one, sizeof one);
    if (one.took_part == 0) continue;
    if (one.passed == 0) ++check.failures;
    double ratio = one.tolerance > 0 ? one.error / one.tolerance : (one.error == 0 ? 0 : HUGE_VAL);
    if (std::isnan(one.error)) ratio = HUGE_VAL;
    if (ratio > worst_ratio || check.worst_rank < 0) {
      worst_ratio = ratio;
      check.worst = one;
      check.worst_rank = rank;
    }
    if (check.results.empty()) check.results = texts[static_cast<std::size_t>(rank)];
  }
  return agreement;
}

void Worker::release(const Case& c) {
  prepared_.erase(c.id);
}

std::vector<ClockOffset> Worker::clocks() {
  const WaitScope wait(watchdog_, ++stage_, 0, "the clock measurement");
  return measure_clock_offsets(session_);
}

}  // namespace dlscale
