// SPDX-License-Identifier: BSD-3-Clause
// dlscale's pdgemm against a bare call of pdgemm_ with equal settings, against the same with the
// library's own logical block, and against DGEMM on rank 0 with as many threads as there are ranks;
// alternating in one run.
//   mpirun -np 2 --bind-to none pdgemm_speed [size [rounds [block [logical_block]]]]    (8192 5 256 0)
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/barrier.hpp"
#include "device/blas.hpp"
#include "device/buffer.hpp"
#include "device/random.hpp"
#include "measure/statistics.hpp"
#include "workloads/contract.hpp"
#include "workloads/pdgemm/logical_block.hpp"
#include "workloads/pdgemm/pdgemm.hpp"
#include "workloads/pdgemm/scalapack.hpp"

extern "C" void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*,
                       const double*, const int*, const double*, const int*, const double*, double*,
                       const int*, std::size_t, std::size_t);

namespace {

using namespace dlscale;

struct Setting {
  int size = 8192, rounds = 5, block = 256, logical_block = 0;
};

/// The plain way: a grid, three matrices, pdgemm_. No class of dlscale but its memory and its numbers.
class Bare {
 public:
  Bare(const PdgemmCase& c, int block, const Communicator& world) : n_(static_cast<int>(c.shape.n)) {
    context_ = Csys2blacs_handle(world.get());
    Cblacs_gridinit(&context_, "Row", c.grid.rows, c.grid.cols);
    int rows = 0, cols = 0, row = 0, col = 0;
    const int first = 0;
    Cblacs_gridinfo(context_, &rows, &cols, &row, &col);
    const int local_rows = numroc_(&n_, &block, &row, &first, &rows),
              local_cols = numroc_(&n_, &block, &col, &first, &cols);
    int info = 0;
    descinit_(descriptor_, &n_, &n_, &block, &block, &first, &first, &context_, &local_rows, &info);
    if (info != 0) std::abort();
    for (Buffer<double>& m : matrices_) {
      m = Buffer<double>(static_cast<std::size_t>(local_rows) * static_cast<std::size_t>(local_cols));
      fill_uniform(m.span(), 1, static_cast<std::uint64_t>(world.rank()));
    }
  }
  ~Bare() { Cblacs_gridexit(context_); }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  void run() {
    const double alpha = 1, beta = 0;
    const int one = 1;
    pdgemm_("N", "N", &n_, &n_, &n_, &alpha, matrices_[0].data(), &one, &one, descriptor_,
            matrices_[1].data(), &one, &one, descriptor_, &beta, matrices_[2].data(), &one, &one,
            descriptor_);
  }

 private:
  int n_, context_ = -1;
  int descriptor_[9] = {};
  std::array<Buffer<double>, 3> matrices_;
};

// The slowest rank's time, from a common start.
double seconds_of(const Communicator& world, DisseminationBarrier& barrier,
                  const std::function<void()>& action) {
  barrier.wait();
  const std::int64_t start = now_ns();
  action();
  return max_over_ranks(world, seconds_since(start));
}

// On rank 0 with a thread per rank; the others sleep.
class Local {
 public:
  Local(int n, const Communicator& world) : n_(n), world_(world) {
    if (world.rank() != 0) return;
    for (std::size_t i = 0; i < matrices_.size(); ++i) {
      matrices_[i] = Buffer<double>(static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
      fill_uniform(matrices_[i].span(), 1, i);
    }
  }
  double seconds() {
    double s = 0;
    if (world_.rank() == 0) {
      set_blas_threads(world_.size());
      const double one = 1, zero = 0;
      const std::int64_t start = now_ns();
      dgemm_("N", "N", &n_, &n_, &n_, &one, matrices_[0].data(), &n_, matrices_[1].data(), &n_, &zero,
             matrices_[2].data(), &n_, 1, 1);
      s = seconds_since(start);
      set_blas_threads(1);
    }
    broadcast_value(world_, s);
    return s;
  }

 private:
  int n_;
  const Communicator& world_;
  std::array<Buffer<double>, 3> matrices_;
};

WorkContext context_for(const Setting& setting, const Communicator& world) {
  WorkContext context;
  for (const Key& key : pdgemm_keys()) context.params.set(key.name, key.default_value);
  for (const char* key : {"m", "n", "k"}) context.params.set(key, std::int64_t{setting.size});
  for (const char* key : {"mb", "nb", "kb"}) context.params.set(key, std::int64_t{setting.block});
  context.params.set("logical_block", std::int64_t{setting.logical_block});
  context.seed = 42;
  context.rank = world.rank();
  context.participants = &world;
  return context;
}

void compare(const Setting& setting, const Communicator& world) {
  const WorkContext context = context_for(setting, world);
  const PdgemmCase c = pdgemm_case(context.params, world.size());
  const auto ours = find_entry("pdgemm", "cpu")->make(context);
  ours->prepare();
  Bare bare(c, setting.block, world);
  Local local(setting.size, world);
  DisseminationBarrier barrier(world);
  std::vector<double> mine, plain, library, dgemm, ratios;
  for (int i = -1; i < setting.rounds; ++i) {  // the first round warms up
    const auto own = [&] { mine.push_back(seconds_of(world, barrier, [&] { ours->run(); })); };
    const auto theirs = [&] {
      const LogicalBlockScope block(c.logical_block);
      plain.push_back(seconds_of(world, barrier, [&] { bare.run(); }));
    };
    // Who goes first alternates.
    i % 2 == 0 ? (own(), theirs()) : (theirs(), own());
    library.push_back(seconds_of(world, barrier, [&] { bare.run(); }));
    dgemm.push_back(local.seconds());
    ratios.push_back(mine.back() / plain.back());
    if (i < 0)
      for (auto* list : {&mine, &plain, &library, &dgemm, &ratios}) list->clear();
  }
  const bool passed = agree(world, ours->verify().passed(), "").ok;
  const std::string facts = ours->results();
  if (world.rank() != 0) return;
  const double flops = 2.0 * setting.size * static_cast<double>(setting.size) * setting.size;
  const auto rate = [&](std::vector<double>& s) { return 1e-9 * flops / median(s); };
  fmt::print(
      "N {} on {}x{} ranks of 1 thread, blocks {}, logical block {}, medians of {}: dlscale {:.1f} "
      "GFLOP/s, "
      "bare pdgemm_ {:.1f}, ratio of times {:.4f} (median of pairs {:.4f}); library's own block {:.1f}, "
      "ours is {:.3f} times as fast; DGEMM with {} threads {:.1f}, ours reaches {:.3f}; check {}\n{}\n",
      setting.size, c.grid.rows, c.grid.cols, setting.block, c.logical_block, setting.rounds, rate(mine),
      rate(plain), median(mine) / median(plain), median(ratios), rate(library),
      median(library) / median(mine), world.size(), rate(dgemm), median(dgemm) / median(mine),
      passed ? "passed" : "FAILED", facts);
}

}  // namespace

int main(int argc, char** argv) {
  const MpiSession session;
  Setting setting;
  int* const values[] = {&setting.size, &setting.rounds, &setting.block, &setting.logical_block};
  for (int i = 1; i < argc && i <= 4; ++i) *values[i - 1] = std::atoi(argv[i]);
  set_blas_threads(1);
  compare(setting, session.world());
}
