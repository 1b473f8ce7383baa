// SPDX-License-Identifier: BSD-3-Clause
// Collectives and pairs on real ranks: errors planted in what arrived are caught by the rank that has
// them; repetitions that compound are judged by one run more.
#include <cmath>
#include <functional>
#include <limits>

#include "comm/agreement.hpp"
#include "dlscale_catch.hpp"
#include "test_session.hpp"
#include "workloads/collective/collective_mpi.hpp"
#include "workloads/pairwise/pairwise_cpu.hpp"

using namespace dlscale;

namespace {

WorkContext context_for(Params params) {
  WorkContext context;
  context.params = std::move(params);
  context.seed = 3;
  context.rank = test_session().world().rank();
  context.participants = &test_session().world();
  return context;
}

Params collective(const char* op, std::int64_t bytes, const char* dtype, bool in_place) {
  Params p;
  p.set("op", std::string(op));
  p.set("bytes", bytes);
  p.set("dtype", std::string(dtype));
  p.set("in_place", in_place);
  p.set("implementation", std::string("mpi"));
  return p;
}

constexpr const char* all_ops[] = {"allreduce", "reduce_scatter", "allgather", "broadcast", "alltoall"};

// Damages the result on the last rank after a clean run: that rank alone must see it.
template <class T>
void plant_and_check(const char* op, const char* dtype, bool in_place) {
  const Communicator& world = test_session().world();
  CollectiveMpi<T> workload(context_for(collective(op, 4000, dtype, in_place)));
  workload.prepare();
  const auto run_once = [&] {
    workload.reset();
    workload.before_sample();
    workload.run();
  };
  run_once();
  const Check clean = workload.verify();
  CAPTURE(op, dtype, in_place, clean.error, clean.message);
  CHECK(clean.passed());

  using E = ElementTraits<T>;
  const bool damaged_here = world.rank() == world.size() - 1;
  const auto planted = [&](const char* what, const std::function<void(std::span<T>)>& damage) {
    run_once();
    if (damaged_here) damage(workload.output());
    const Check check = workload.verify();
    CAPTURE(what, check.error);
    CHECK(check.passed() != damaged_here);
    CHECK(check.message.empty() != damaged_here);
  };
  const T nan = E::from(std::numeric_limits<double>::quiet_NaN());
  planted("wrong element", [](std::span<T> out) { out[7] = E::from(E::value(out[7]) + 100); });
  planted("wrong integer", [](std::span<T> out) { out[8] = E::from(-1 - E::value(out[8])); });
  planted("NaN", [&](std::span<T> out) { out[out.size() / 2] = nan; });
  planted("unwritten tail", [&](std::span<T> out) { out.back() = nan; });
}

}  // namespace

TEST_CASE("planted errors in collectives are seen on the rank that has them") {
  for (const char* op : all_ops)
    for (const bool in_place : {false, true}) {
      if (in_place && std::string(op) == "broadcast") continue;
      plant_and_check<float>(op, "f32", in_place);
      plant_and_check<double>(op, "f64", in_place);
      plant_and_check<Bf16>(op, "bf16", in_place);
    }
}

TEST_CASE("a collective that was not carried out is not judged by what an earlier one left") {
  for (const char* op : all_ops) {
    CollectiveMpi<float> workload(context_for(collective(op, 4000, "f32", false)));
    workload.prepare();
    workload.run();
    CAPTURE(op);
    CHECK(workload.verify().passed());
    workload.reset();
    // The root of a broadcast has its data anyway.
    const bool root = std::string(op) == "broadcast" && test_session().world().rank() == 0;
    CHECK(workload.verify().passed() == root);
  }
}

TEST_CASE("in place: many repetitions are judged by one more, refilled") {
  for (const char* op : {"allreduce", "reduce_scatter", "allgather", "alltoall"}) {
    CollectiveMpi<float> workload(context_for(collective(op, 40'000, "f32", true)));
    workload.prepare();
    workload.before_sample();
    for (int i = 0; i < 300; ++i) workload.run();  // sums double every time: beyond the largest float
    const Check check = workload.verify();
    const bool compounds = std::string(op) != "allgather";
    CAPTURE(op, check.error, check.message, check.method);
    CHECK(check.passed());
    CHECK((check.method.find("once more") != std::string::npos) == compounds);
  }
}

TEST_CASE("one rank alone: every collective is a copy, in place or not") {
  const Communicator self = test_session().world().split(test_session().world().rank(), 0);
  for (const char* op : all_ops)
    for (const bool in_place : {false, true}) {
      if (in_place && std::string(op) == "broadcast") continue;
      WorkContext context = context_for(collective(op, 4004, "f32", in_place));
      context.participants = &self;
      CollectiveMpi<float> workload(context);
      workload.prepare();
      workload.before_sample();
      workload.run();
      CAPTURE(op, in_place);
      CHECK(workload.verify().passed());
    }
}

TEST_CASE("pairs: every round's message is judged, and every round has its time") {
  const Communicator& world = test_session().world();
  if (world.size() < 2) return;
  Params p;
  p.set("bytes", std::int64_t{1003});
  p.set("rounds", std::int64_t{5});
  p.set("seed", std::int64_t{2});
  PairwiseCpu workload(context_for(p));
  workload.prepare();
  workload.run();
  workload.run();
  CHECK(workload.verify().passed());
  std::vector<double> seconds(5);
  workload.take_layers(seconds);
  for (const double s : seconds) CHECK((s >= 0 && s < 10));
  workload.take_layers(seconds);
  for (const double s : seconds) CHECK(s == 0);

  for (std::size_t round = 0; round < 5; ++round) {
    const auto planted = [&](const char* what,
                             const std::function<void(std::span<std::uint64_t>)>& damage) {
      workload.reset();
      workload.run();
      damage(workload.arrived(round));
      const Check check = workload.verify();
      CAPTURE(what, round, workload.partner(round), check.error);
      CHECK_FALSE(check.passed());
      CHECK(check.message.find("round " + std::to_string(round)) != std::string::npos);
    };
    planted("one bit", [](auto words) { words[3] ^= std::uint64_t{1} << 17; });
    planted("behind the end", [](auto words) { words.back() ^= std::uint64_t{1} << 63; });
    // All ranks plant as often: each time they meet in run().
    const bool idle = workload.partner(round) == MPI_PROC_NULL;
    planted(idle ? "written" : "unwritten",
            [&](auto words) { words[100] = idle ? 0 : ~std::uint64_t{0}; });
    const std::size_t other = (round + 1) % 5;
    planted("another round's", [&](auto words) {
      std::copy_n(workload.arrived(other).begin(), words.size(), words.begin());
    });
  }
}
