// SPDX-License-Identifier: BSD-3-Clause
// dlscale's gemm against a plain loop over the same BLAS call, alternating in one process; and both
// against the FMA peak.
//   gemm_speed [size = 4096] [pairs = 7]
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/clock.hpp"
#include "device/blas.hpp"
#include "device/buffer.hpp"
#include "device/random.hpp"
#include "measure/sampler.hpp"
#include "measure/statistics.hpp"
#include "workloads/contract.hpp"

extern "C" {
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*, std::size_t,
            std::size_t);
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
            const int*, const float*, const int*, const float*, float*, const int*, std::size_t,
            std::size_t);
}

namespace {

using namespace dlscale;

WorkContext context_for(const Entry& entry, const std::string& dtype, int threads, std::int64_t size) {
  WorkContext context;
  for (const Key& key : entry.keys) context.params.set(key.name, key.default_value);
  context.params.set("dtype", dtype);
  if (context.params.has("m"))
    for (const char* key : {"m", "n", "k"}) context.params.set(key, size);
  context.threads = threads;
  context.seed = 42;
  return context;
}

double harness_seconds(Workload& workload, Probes& probes) {
  const Batch batch{
      .lead = 0, .samples = 1, .repeats = 1, .phase = Phase::measured, .block = 0, .expected_s = 0};
  const OwnSamples own =
      take_samples(workload, batch, {.widths = {.probes = probes.list().size()}}, probes);
  if (!own.failure.empty()) throw std::runtime_error(own.failure);
  return 1e-9 * static_cast<double>(own.stop[0] - own.start[0]);
}

// Memory as dlscale's own (aligned, huge pages where the system gives them): with std::vector the plain
// loop was up to 2 % slower, and the ratio would show pages instead of the harness.
template <class T>
class PlainLoop {
 public:
  explicit PlainLoop(int n) : n_(n), a_(count()), b_(count()), c_(count()) {
    fill_uniform(a_.span(), 1, 1);
    fill_uniform(b_.span(), 1, 2);
  }
  double seconds() {
    const T one = 1, zero = 0;
    const char no = 'N';
    const std::int64_t start = now_ns();
    if constexpr (sizeof(T) == 8)
      dgemm_(&no, &no, &n_, &n_, &n_, &one, a_.data(), &n_, b_.data(), &n_, &zero, c_.data(), &n_, 1, 1);
    else
      sgemm_(&no, &no, &n_, &n_, &n_, &one, a_.data(), &n_, b_.data(), &n_, &zero, c_.data(), &n_, 1, 1);
    return seconds_since(start);
  }

 private:
  std::size_t count() const { return static_cast<std::size_t>(n_) * static_cast<std::size_t>(n_); }
  int n_;
  Buffer<T> a_, b_, c_;
};

template <class T>
void compare(const std::string& dtype, int threads, int size, int pairs) {
  Probes probes;
  const Entry* gemm = find_entry("gemm", "cpu");
  const Entry* fma = find_entry("fma", "cpu");
  if (gemm == nullptr || fma == nullptr) std::abort();
  const WorkContext context = context_for(*gemm, dtype, threads, size);
  const WorkContext peak_context = context_for(*fma, dtype, threads, size);
  auto ours = gemm->make(context);
  ours->prepare();
  auto peak = fma->make(peak_context);
  peak->prepare();
  PlainLoop<T> plain(size);
  std::vector<double> a, b, p;
  for (int i = -1; i < pairs; ++i) {  // the first pair warms up
    for (int j = 0; j < 10; ++j) p.push_back(harness_seconds(*peak, probes));
    // Who goes first alternates too.
    double mine = 0, theirs = 0;
    if (i % 2 == 0) {
      mine = harness_seconds(*ours, probes);
      theirs = plain.seconds();
    } else {
      theirs = plain.seconds();
      mine = harness_seconds(*ours, probes);
    }
    if (i < 0) continue;
    a.push_back(mine);
    b.push_back(theirs);
  }
  const double flops = gemm->cost(context.params, 1, threads).flops;
  const double roof = fma->cost(peak_context.params, 1, threads).flops / median(p);
  fmt::print(
      "{} {}³ ×{} threads: dlscale {:.1f} GFLOP/s, plain loop {:.1f} GFLOP/s, ratio of times {:.4f}; "
      "FMA peak "
      "{:.1f} GFLOP/s, share {:.1f} %; check {}\n",
      dtype, size, threads, 1e-9 * flops / median(a), 1e-9 * flops / median(b), median(a) / median(b),
      1e-9 * roof, 100 * flops / median(a) / roof, ours->verify().passed() ? "passed" : "FAILED");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int size = argc > 1 ? std::atoi(argv[1]) : 4096;
  const int pairs = argc > 2 ? std::atoi(argv[2]) : 7;
  for (const int threads : {1, 2}) {
    compare<double>("f64", threads, size, pairs);
    compare<float>("f32", threads, size, pairs);
  }
}
