// SPDX-License-Identifier: BSD-3-Clause
// One network on several ranks: what goes wrong is found and named on all ranks, and nobody waits.
#include <cstdlib>

#include "../unit/nn/forwarding_executor.hpp"
#include "data_parallel_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/trainer.hpp"

using namespace dlscale;

TEST_CASE("a bit that flips in one rank's weights is found, and step, tensor and rank are named") {
  const int last = world().size() - 1;
  const Params params = parallel_case({{"check_replicas", std::int64_t{4}}});
  setenv("DLSCALE_TEST_FLIP", (std::to_string(last) + ":6:conv2.weight").c_str(), 1);
  Probes probes;
  const auto workload = made(params);
  workload->prepare();
  const OwnSamples own = take(*workload, params, 20, probes);
  unsetenv("DLSCALE_TEST_FLIP");
  INFO(own.failure);
  if (last == 0) {  // nobody to differ from
    CHECK(own.failure.empty());
    return;
  }
  CHECK(contains(own.failure, "conv2.weight of rank " + std::to_string(last) + " is not the others'"));
  CHECK(contains(own.failure, "after step 8; equal after step 4"));
  CHECK(own.start[7] > 0);
  CHECK(own.start[8] == -1);
  // Left to the end, the check finds it as well, and only on the rank that is to blame.
  const Check check = workload->verify();
  CHECK(check.passed() == (world().rank() != last));
  if (world().rank() == last) CHECK(contains(check.message, "replicas differ"));
}

namespace {

/// Does almost what it should.
class Faulty final : public nn::GradientReducer {
 public:
  enum class Fault { none, skips_a_bucket, spoils_a_value };
  Faulty(nn::GradientReducer& real, nn::Executor& executor, Fault fault)
      : real_(real), executor_(executor), fault_(fault) {}
  int replicas() const override { return real_.replicas(); }
  void start(int bucket) override {
    if (bucket != 1 || fault_ != Fault::skips_a_bucket) real_.start(bucket);
  }
  void finish() override {
    real_.finish();
    if (fault_ == Fault::spoils_a_value && world().rank() == 0)
      executor_.buckets()[0].gradients[5] *= 1.01F;
  }
  std::span<const nn::BucketTimes> times() const override { return real_.times(); }

 private:
  nn::GradientReducer& real_;
  nn::Executor& executor_;
  Fault fault_;
};

}  // namespace

TEST_CASE("a wrong sum of gradients fails the check, a right one passes") {
  using Fault = Faulty::Fault;
  const int size = world().size(), rank = world().rank();
  const Params params = parallel_case();
  const nn::Graph graph = network_graph(params, 0);
  const auto executor = nn::make_cpu_executor(graph, train_options(params, 1, 7));
  executor->prepare(4, nn::Mode::training);
  WorkContext context;
  context.params = params;
  context.rank = rank;
  context.participants = &world();
  DataParallel parallel(context, graph, *executor);
  parallel.join();
  const auto check_with = [&](Fault fault, float first = 1e-3F) {
    for (nn::Bucket& bucket : executor->buckets())
      for (std::int64_t i = 0; i < bucket.count; ++i)
        bucket.gradients[i] = 1e-3F * static_cast<float>((i * 7 + rank) % 11 - 5);
    executor->buckets().front().gradients[0] = first;
    Faulty reducer(parallel.reducer(), *executor, fault);
    return parallel.check_reduction(reducer);
  };
  const Check right = check_with(Fault::none);
  INFO(right.error << " " << right.message);
  CHECK(right.passed());
  CHECK_FALSE(check_with(Fault::none, std::nanf("")).passed());
  if (size > 1) {
    const Check skipped = check_with(Fault::skips_a_bucket);
    INFO(skipped.message);
    CHECK_FALSE(skipped.passed());
    bool named = false;
    for (const int tensor : executor->buckets()[1].members)
      named |= contains(skipped.message, "the reduced gradient of " +
                                             graph.parameters()[static_cast<std::size_t>(tensor)].name +
                                             " is wrong");
    CHECK(named);
  }
  const Check spoilt = check_with(Fault::spoils_a_value);
  CHECK(spoilt.passed() == (rank != 0 && !(size == 2 && rank == 1)));
}

TEST_CASE("training that explodes fails on all ranks in the same step, and nobody waits") {
  const Params params = parallel_case({{"optimizer", std::string("sgd")}, {"lr", 1e6}});
  Probes probes;
  const auto workload = made(params);
  workload->prepare();
  const OwnSamples own = take(*workload, params, 20, probes);
  INFO(own.failure);
  CHECK(contains(own.failure, "training failed at step "));
  std::int64_t done = 0;
  for (const std::int64_t start : own.start) done += start > 0 ? 1 : 0;
  CHECK(sum_over_ranks(world(), done) == done * world().size());
}

TEST_CASE("a rank that can't prepare fails the case on all ranks") {
  const int last = world().size() - 1;
  Params params = parallel_case();
  if (world().rank() == last) params.set("data", std::string("/nowhere/at/all"));
  const auto workload = made(params);
  const std::string message = message_of([&] { workload->prepare(); });
  INFO(message);
  CHECK(contains(message, "/nowhere/at/all"));
  if (world().rank() != last) CHECK(contains(message, "participant " + std::to_string(last)));
}

namespace {

/// Fails in one of the things that a rank does by itself while the network is made the same on all.
class Breaking final : public nn::ForwardingExecutor {
 public:
  Breaking(nn::Executor& real, std::string in) : ForwardingExecutor(real), in_(std::move(in)) {}
  void initialise() override {
    fail("initialise");
    ForwardingExecutor::initialise();
    initialised_ = true;
  }
  void write_parameter(int p, std::span<const float> values) override {
    fail(initialised_ ? "write" : "number");
    ForwardingExecutor::write_parameter(p, values);
  }
  void read_parameter(int p, std::span<float> values) const override {
    fail("read");
    ForwardingExecutor::read_parameter(p, values);
  }
  void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const override {
    fail("read statistics");
    ForwardingExecutor::read_statistics(layer, mean, variance);
  }
  void write_statistics(int layer, std::span<const float> mean,
                        std::span<const float> variance) override {
    fail("write statistics");
    ForwardingExecutor::write_statistics(layer, mean, variance);
  }

 private:
  void fail(const std::string& what) const {
    if (what == in_) throw Error(ExitCode::case_failed, "planted: " + what);
  }
  std::string in_;
  bool initialised_ = false;
};

}  // namespace

TEST_CASE("a rank that fails while the network is made the same leaves nobody waiting") {
  const int last = world().size() - 1;
  for (const char* in :
       {"number", "initialise", "read", "write", "read statistics", "write statistics"}) {
    const Params params = parallel_case();
    const nn::Graph graph = network_graph(params, 0);
    const auto real = nn::make_cpu_executor(graph, train_options(params, 1, 7));
    real->prepare(4, nn::Mode::training);
    Breaking executor(*real, world().rank() == last ? in : "");
    WorkContext context;
    context.params = params;
    context.rank = world().rank();
    context.participants = &world();
    DataParallel parallel(context, graph, executor);
    const std::string message = message_of([&] { parallel.join(); });
    INFO(in << ": " << message);
    CHECK(contains(message, std::string("planted: ") + in));
    if (world().rank() != last) CHECK(contains(message, "participant " + std::to_string(last)));
  }
}

TEST_CASE("without communication a rank that fails by itself fails the case on all") {
  const int last = world().size() - 1;
  // Told before the next sample, or at the end of the batch if there is none: step 2 fails.
  for (const std::int32_t samples : {20, 2}) {
    Params params = parallel_case({{"communicate", false}, {"optimizer", std::string("sgd")}});
    if (world().rank() == last) params.set("lr", 1e6);
    Probes probes;
    const auto workload = made(params);
    workload->prepare();
    const OwnSamples own = take(*workload, params, samples, probes);
    INFO(own.failure);
    CHECK(contains(own.failure, "training failed at step 2: "));
    if (world().rank() != last)
      CHECK(contains(own.failure, "participant " + std::to_string(last) + " of the case failed"));
    std::int64_t done = 0;
    for (const std::int64_t start : own.start) done += start > 0 ? 1 : 0;
    CHECK(sum_over_ranks(world(), done) == done * world().size());
  }
}

TEST_CASE("without communication the steps are the same and nothing is compared") {
  const Params params = parallel_case({{"communicate", false}});
  CHECK(train_buckets(params).empty());
  CHECK(train_cost(params, world().size(), 1).bytes_sent == 0);
  Probes probes;
  const auto workload = made(params);
  workload->prepare();
  const OwnSamples own = take(*workload, params, 5, probes);
  CHECK(own.failure.empty());
  for (std::size_t i = 0; i < 5; ++i) CHECK(own.parts[6 * i + 4] == 0);  // reduce
  CHECK(workload->verify().passed());
}
