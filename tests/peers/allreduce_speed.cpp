// SPDX-License-Identifier: BSD-3-Clause
// dlscale's collective op=allreduce against a bare loop of MPI_Allreduce, alternating in one process, in
// the same mode: so many calls behind one barrier. Ratio of the medians of the slowest rank's times.
//   mpirun -np 2 allreduce_speed [pairs = 41] [largest bytes = 67108864]
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/barrier.hpp"
#include "device/buffer.hpp"
#include "device/random.hpp"
#include "measure/sampler.hpp"
#include "measure/statistics.hpp"
#include "workloads/contract.hpp"

namespace {

using namespace dlscale;

constexpr double sample_s = 2e-3;  // of several calls; longer ones are taken alone

class Comparison {
 public:
  Comparison(const Communicator& world, std::int64_t bytes)
      : world_(world), bytes_(bytes), barrier_(world), in_(elements()), out_(elements()) {
    const Entry* entry = find_entry("collective", "cpu");
    if (entry == nullptr) std::abort();
    WorkContext context;
    for (const Key& key : entry->keys) context.params.set(key.name, key.default_value);
    context.params.set("bytes", bytes);
    context.seed = 42;
    context.rank = world.rank();
    context.participants = &world;
    ours_ = entry->make(context);
    ours_->prepare();
    fill_uniform(in_.span(), 42, static_cast<std::uint64_t>(world.rank()));
    std::fill(out_.span().begin(), out_.span().end(), 0.0F);
    for (int i = 0; i < 3; ++i) plain_s();  // connections, pages
    const double once = std::max(1e-7, plain_s());
    repeats_ = once * 10 > sample_s ? 1 : static_cast<std::int64_t>(sample_s / once);
  }

  void run(int pairs) {
    std::vector<double> a, b, ratios;
    for (int i = -2; i < pairs; ++i) {  // the first two warm up; who goes first alternates
      double mine = 0, theirs = 0;
      if (i % 2 == 0) {
        mine = ours_s();
        theirs = plain_s();
      } else {
        theirs = plain_s();
        mine = ours_s();
      }
      if (i < 0) continue;
      a.push_back(mine);
      b.push_back(theirs);
      ratios.push_back(mine / theirs);
    }
    const bool passed = sum_over_ranks(world_, ours_->verify().passed() ? 0 : 1) == 0;
    if (world_.rank() != 0) return;
    const double p = world_.size(), bus = 2 * (p - 1) / p * static_cast<double>(bytes_);
    fmt::print(
        "{:>10} B ×{:<6} dlscale {:>10}  {:>12}  bare {:>10}  ratio {:.4f} (pairs {:.3f} to {:.3f})  "
        "{}\n",
        bytes_, repeats_, format_seconds(median(a)), format_si(bus / median(a), "B/s"),
        format_seconds(median(b)), median(a) / median(b), percentile(ratios, 0.1),
        percentile(ratios, 0.9), passed ? "check passed" : "CHECK FAILED");
    std::fflush(stdout);
  }

 private:
  std::size_t elements() const { return static_cast<std::size_t>(bytes_) / sizeof(float); }

  double ours_s() {
    const Batch batch{.lead = 1,  // as below
                      .samples = 1,
                      .repeats = repeats_,
                      .phase = Phase::measured,
                      .block = 0,
                      .expected_s = sample_s};
    const Sampling how{
        .align = &barrier_, .distributed = true, .widths = {.probes = probes_.list().size()}};
    const OwnSamples own = take_samples(*ours_, batch, how, probes_);
    return slowest(1e-9 * static_cast<double>(own.stop[1] - own.start[1]));
  }

  double plain_s() {
    const int count = static_cast<int>(elements());
    std::int64_t start = 0;
    for (int sample = 0; sample < 2; ++sample) {  // the first brings the buffers back into the caches
      barrier_.wait();
      start = now_ns();
      for (std::int64_t r = 0; r < repeats_; ++r)
        DLSCALE_MPI(MPI_Allreduce(in_.data(), out_.data(), count, MPI_FLOAT, MPI_SUM, world_.get()));
    }
    return slowest(seconds_since(start));
  }

  double slowest(double own_s) const {
    double all = 0;
    DLSCALE_MPI(MPI_Allreduce(&own_s, &all, 1, MPI_DOUBLE, MPI_MAX, world_.get()));
    return all / static_cast<double>(repeats_);
  }

  const Communicator& world_;
  std::int64_t bytes_, repeats_ = 1;
  DisseminationBarrier barrier_;
  Buffer<float> in_, out_;
  Probes probes_;
  std::unique_ptr<Workload> ours_;
};

}  // namespace

int main(int argc, char** argv) {
  const MpiSession session;
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 41;
  const std::int64_t largest = argc > 2 ? std::atoll(argv[2]) : 67'108'864;
  for (std::int64_t bytes = 8; bytes <= largest; bytes *= bytes < 4096 ? 8 : 4) {
    Comparison comparison(session.world(), bytes);
    comparison.run(pairs);
  }
}
