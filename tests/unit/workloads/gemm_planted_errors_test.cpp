// SPDX-License-Identifier: BSD-3-Clause
// Wrong must fail at full size in every type. DLSCALE_GEMM_SIZE changes the size (default 4096).
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <thread>

#include "dlscale_catch.hpp"
#include "workloads/gemm/gemm_cpu.hpp"

using namespace dlscale;

namespace {

std::int64_t full_size() {
  const char* text = std::getenv("DLSCALE_GEMM_SIZE");
  return text == nullptr ? 4096 : std::atoll(text);
}

WorkContext context_for(std::int64_t n, const char* dtype, double beta, std::uint64_t seed = 42) {
  WorkContext context;
  for (const char* key : {"m", "n", "k"}) context.params.set(key, n);
  context.params.set("dtype", std::string(dtype));
  context.params.set("trans_a", std::string("N"));
  context.params.set("trans_b", std::string("N"));
  context.params.set("alpha", 1.0);
  context.params.set("beta", beta);
  context.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  context.seed = seed;
  return context;
}

// Takes away as much as a k-panel of `width` contributes: as if the library had skipped it.
template <class T>
void skip_panel(std::span<T> c, std::int64_t n, std::int64_t width) {
  WorkContext narrow = context_for(n, sizeof(T) == 8 ? "f64" : "f32", 0);
  narrow.params.set("k", width);
  GemmCpu<T> panel(narrow);
  panel.prepare();
  panel.run();
  // Not the panel's very numbers (B is n×k by columns), but a sum of as many products of the same
  // distribution.
  for (std::size_t i = 0; i < c.size(); ++i) c[i] -= panel.c()[i];
}

template <class T>
void plant_and_check(const char* dtype) {
  const std::int64_t n = full_size();
  const auto un = static_cast<std::size_t>(n);
  GemmCpu<T> gemm(context_for(n, dtype, 0));
  gemm.prepare();
  gemm.run();
  const Check clean = gemm.verify();
  INFO("clean: " << clean.error << " of " << clean.tolerance);
  REQUIRE(clean.passed());
  CHECK(clean.error > 0);  // a check that sees no rounding at all looks at the wrong numbers

  const std::vector<T> good(gemm.c().begin(), gemm.c().end());
  const auto planted = [&](const char* what, const std::function<void(std::span<T>)>& damage) {
    damage(gemm.c());
    const Check check = gemm.verify();
    INFO(what << ": error " << check.error << " tolerance " << check.tolerance);
    CHECK_FALSE(check.passed());
    std::copy(good.begin(), good.end(), gemm.c().begin());
  };
  planted("skipped k-panel", [&](std::span<T> c) { skip_panel<T>(c, n, std::min<std::int64_t>(n, 8)); });
  planted("unwritten tile", [&](std::span<T> c) {
    for (std::size_t j = 64; j < 128; ++j)
      for (std::size_t i = 128; i < 192; ++i) c[i + j * un] = 0;
  });
  planted("swapped rows", [&](std::span<T> c) {
    for (std::size_t j = 0; j < un; ++j) std::swap(c[17 + j * un], c[1234 % un + j * un]);
  });
  planted("one wrong element", [&](std::span<T> c) { c[99 + 77 * un] = -c[99 + 77 * un] + T{1}; });
  planted("NaN", [&](std::span<T> c) { c[5 + 3 * un] = std::numeric_limits<T>::quiet_NaN(); });
  planted("infinity", [&](std::span<T> c) { c[5 + 3 * un] = std::numeric_limits<T>::infinity(); });
  planted("all zero", [&](std::span<T> c) { std::fill(c.begin(), c.end(), T{0}); });
  CHECK(gemm.verify().passed());  // and the undamaged one still passes
}

}  // namespace

TEST_CASE("planted errors are caught at full size, f64") {
  plant_and_check<double>("f64");
}
TEST_CASE("planted errors are caught at full size, f32") {
  plant_and_check<float>("f32");
}

TEST_CASE("precision of another type is caught: f64 results rounded to f32") {
  GemmCpu<double> gemm(context_for(512, "f64", 0));
  gemm.prepare();
  gemm.run();
  for (double& x : gemm.c()) x = static_cast<double>(static_cast<float>(x));
  CHECK_FALSE(gemm.verify().passed());
}

TEST_CASE("repetitions with beta compound and still verify; one too few is caught") {
  for (const double beta : {1.0, 0.5, -1.0}) {
    CAPTURE(beta);
    GemmCpu<double> gemm(context_for(96, "f64", beta));
    gemm.prepare();
    for (int i = 0; i < 40; ++i) gemm.run();
    CHECK(gemm.verify().passed());
    gemm.reset();
    gemm.run();
    CHECK(gemm.verify().passed());
    const std::vector<double> once(gemm.c().begin(), gemm.c().end());
    gemm.run();
    CHECK(gemm.verify().passed());
    std::copy(once.begin(), once.end(), gemm.c().begin());
    CHECK_FALSE(gemm.verify().passed());
  }
}

TEST_CASE("clean runs are not flagged") {
  // Many shapes and seeds; DLSCALE_CLEAN_RUNS asks for more.
  const char* text = std::getenv("DLSCALE_CLEAN_RUNS");
  const int runs = text == nullptr ? 60 : std::atoi(text);
  double largest = 0;
  for (int run = 0; run < runs; ++run) {
    const std::int64_t shapes[][3] = {{64, 64, 64},   {300, 7, 1000}, {1, 500, 3},
                                      {257, 129, 65}, {2000, 3, 1},   {3, 2000, 1}};
    const auto& shape = shapes[run % 6];
    for (const char* dtype : {"f64", "f32"}) {
      WorkContext context =
          context_for(1, dtype, run % 3 == 0 ? 1.0 : 0.0, static_cast<std::uint64_t>(run));
      context.params.set("m", shape[0]);
      context.params.set("n", shape[1]);
      context.params.set("k", shape[2]);
      context.params.set("trans_a", std::string(run % 2 == 0 ? "N" : "T"));
      const Entry* entry = find_entry("gemm", "cpu");
      REQUIRE(entry != nullptr);
      const auto gemm = entry->make(context);
      gemm->prepare();
      for (int i = 0; i <= run % 4; ++i) gemm->run();
      const Check check = gemm->verify();
      CAPTURE(run, dtype, shape[0], shape[1], shape[2], check.error, check.tolerance, check.method);
      CHECK(check.passed());
      largest = std::max(largest, check.error / check.tolerance);
    }
  }
  WARN("largest error / tolerance in " << 2 * runs << " clean runs: " << largest);
}

TEST_CASE("clean runs at full size are not flagged") {
  // DLSCALE_CLEAN_FULL asks for more; every run has other data.
  const char* text = std::getenv("DLSCALE_CLEAN_FULL");
  const int runs = text == nullptr ? 2 : std::atoi(text);
  double largest = 0;
  int flagged = 0;
  for (int run = 0; run < runs; ++run) {
    const char* dtype = run % 2 == 0 ? "f64" : "f32";
    const auto gemm =
        find_entry("gemm", "cpu")
            ->make(context_for(full_size(), dtype, 0, 1000 + static_cast<std::uint64_t>(run)));
    gemm->prepare();
    gemm->run();
    const Check check = gemm->verify();
    CAPTURE(run, dtype, check.error, check.tolerance);
    CHECK(check.passed());
    flagged += !check.passed();
    largest = std::max(largest, check.error / check.tolerance);
  }
  WARN(flagged << " of " << runs << " clean runs flagged at " << full_size()
               << ", largest error / tolerance " << largest);
}
