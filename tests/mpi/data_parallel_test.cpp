// SPDX-License-Identifier: BSD-3-Clause
// One network on several ranks: the same gradients as one rank with the whole batch, replicas that stay
// equal, and failures that are found and named on all ranks.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "../unit/nn/forwarding_executor.hpp"
#include "dlscale_catch.hpp"
#include "measure/sampler.hpp"
#include "nn/models.hpp"
#include "nn/trainer.hpp"
#include "test_session.hpp"
#include "workloads/train/data_parallel_mpi.hpp"
#include "workloads/train/gradient_reducer_mpi.hpp"
#include "workloads/train/train.hpp"

using namespace dlscale;

namespace {

const Communicator& world() {
  return test_session().world();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What `action` threw, the same on all ranks; empty if nothing.
template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::vector<Overlap> overlaps() {
  std::vector<Overlap> all{Overlap::none, Overlap::test};
  if (mpi_thread_multiple()) all.push_back(Overlap::thread);
  return all;
}

using Overrides = std::vector<std::pair<const char*, Scalar>>;

/// A small network on all ranks: images of 8 pixels, several buckets.
Params parallel_case(const Overrides& more = {}) {
  Params p;
  for (const Key& key : train_keys()) p.set(key.name, key.default_value);
  p.set("parallel", std::string("data"));
  p.set("image", std::int64_t{8});
  p.set("batch", std::int64_t{4});
  p.set("data", std::string("random"));
  p.set("train_images", std::int64_t{400});
  p.set("bucket_bytes", std::int64_t{100'000});
  for (const auto& [key, value] : more) p.set(key, value);
  return p;
}

std::unique_ptr<Workload> made(const Params& params) {
  WorkContext context;
  context.params = params;
  context.seed = 7;
  context.rank = world().rank();
  context.participants = &world();
  return find_entry("train", "cpu")->make(context);
}

OwnSamples take(Workload& workload, const Params& params, std::int32_t samples, Probes& probes) {
  Batch batch;
  batch.samples = samples;
  batch.block = 0;
  return take_samples(workload, batch,
                      {.distributed = true,
                       .widths = {.probes = probes.list().size(),
                                  .parts = 6,
                                  .bucket_times = 3 * train_buckets(params).size()}},
                      probes);
}

}  // namespace

TEST_CASE("buckets are summed in place, whoever moves them") {
  const int size = world().size(), rank = world().rank();
  for (const Overlap overlap : overlaps()) {
    std::vector<float> values(16 * 1000 * 3);
    std::vector<nn::Bucket> buckets;
    for (std::size_t b = 0; b < 3; ++b)
      buckets.push_back({.count = 16'000,
                         .parameters = nullptr,
                         .gradients = values.data() + b * 16'000,
                         .members = {},
                         .counts = {}});
    const auto reducer = make_mpi_reducer(world().duplicate(), buckets, overlap);
    CHECK(reducer->replicas() == size);
    for (int step = 1; step <= 3; ++step) {
      // Integers: every partial sum is exact.
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>((rank + 1) * static_cast<int>(i % 1000) + step);
      for (int b = 0; b < 3; ++b) {
        reducer->start(b);
        reducer->progress();
      }
      reducer->finish();
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < values.size(); ++i)
        wrong += values[i] !=
                 static_cast<float>(size * (size + 1) / 2 * static_cast<int>(i % 1000) + size * step);
      CHECK(wrong == 0);
      REQUIRE(reducer->times().size() == 3);
      for (const nn::BucketTimes& t : reducer->times())
        CHECK((t.ready_ns > 0 && t.ready_ns <= t.enter_ns && t.enter_ns <= t.done_ns));
    }
  }
}

TEST_CASE("the rank that differs is named, on all ranks") {
  const int size = world().size(), rank = world().rank();
  std::vector<std::uint64_t> values{5, 6, 7, 8};
  CHECK_FALSE(first_difference(world(), values));
  CHECK_FALSE(first_difference(world(), {}));
  for (int odd = 0; odd < size && size > 1; ++odd) {
    std::vector<std::uint64_t> own = values;
    if (rank == odd) own[2] = 99, own[3] = 98;
    const auto difference = first_difference(world(), own);
    REQUIRE(difference);
    CHECK(difference->index == 2);
    CHECK(difference->rank == (size == 2 ? 1 : odd));  // of two nobody knows which is right
    own = values;
    if (rank == odd) own.push_back(1);
    REQUIRE(first_difference(world(), own));
    CHECK(first_difference(world(), own)->rank == (size == 2 ? 1 : odd));
  }
}

TEST_CASE("replicas begin with the weights and statistics of the first") {
  const nn::Graph graph = nn::find_model("topflight-cnn")->build({.image = 8});
  nn::ExecutorOptions options;
  options.seed = 100 + static_cast<std::uint64_t>(world().rank());
  const auto executor = nn::make_cpu_executor(graph, options);
  executor->prepare(2, nn::Mode::training);
  executor->initialise();
  const int norm = 2;
  REQUIRE(graph.layer(norm).op == nn::Op::batch_norm);
  std::vector<float> mean(32, 1.0F + static_cast<float>(world().rank())), variance(32, 2.0F);
  executor->write_statistics(norm, mean, variance);
  if (world().size() > 1)
    CHECK(first_difference(world(), hash_tensors(executor->buckets(), Held::parameters)));
  broadcast_network(world(), graph, *executor);
  CHECK_FALSE(first_difference(world(), hash_tensors(executor->buckets(), Held::parameters)));
  executor->read_statistics(norm, mean, variance);
  CHECK(mean == std::vector<float>(32, 1.0F));
}

TEST_CASE("networks that differ are refused on all ranks") {
  const int last = world().size() - 1;
  const bool odd = world().rank() == last && last > 0;
  const nn::Graph graph = nn::find_model("topflight-cnn")->build({.image = 8, .classes = odd ? 11 : 10});
  const auto executor = nn::make_cpu_executor(graph, {});
  executor->prepare(2, nn::Mode::training);
  const std::string message = message_of([&] { demand_same_network(world(), graph, *executor); });
  INFO(message);
  CHECK(message.empty() == (last == 0));
  if (last > 0) CHECK(contains(message, "participant " + std::to_string(last)));
  if (last > 0) CHECK(contains(message, "fc3.weight"));
}

TEST_CASE("buckets that are cut otherwise are refused") {
  const int last = world().size() - 1;
  const nn::Graph graph = nn::find_model("topflight-cnn")->build({.image = 8});
  nn::ExecutorOptions options;
  options.bucket_bytes = world().rank() == last && last > 0 ? 100'000 : 200'000;
  const auto executor = nn::make_cpu_executor(graph, options);
  executor->prepare(2, nn::Mode::training);
  const std::string message = message_of([&] { demand_same_network(world(), graph, *executor); });
  CHECK(message.empty() == (last == 0));
  if (last > 0) CHECK(contains(message, "participant " + std::to_string(last)));
}

TEST_CASE("gradients are those of one rank with the whole batch") {
  // Without batch norm (whose statistics are of a rank's own batch) and dropout. 12 divides by 1, 2,
  // 3, 4.
  const int size = world().size();
  const nn::Graph graph = nn::find_model("vgg19")->build({.image = 32, .classes = 10});
  constexpr int whole_batch = 12;
  nn::ExecutorOptions options;
  options.seed = 3;
  options.algorithm = "direct";  // Winograd's is chosen by the batch, and rounds otherwise
  options.optimizer.kind = nn::OptimizerKind::sgd;
  struct Replica {
    std::unique_ptr<nn::Loader> loader;  // its images are read in the backward pass
    std::unique_ptr<nn::Executor> executor;
  };
  const auto run = [&](int shard, int shards) {
    auto executor = nn::make_cpu_executor(graph, options);
    nn::LoaderOptions loader_options;
    loader_options.batch = whole_batch / shards;
    loader_options.shard = shard;
    loader_options.shards = shards;
    loader_options.seed = 5;
    loader_options.input = graph.shape(0);
    auto loader = nn::make_loader(nn::make_synthetic(5, 100, 1), false, loader_options);
    executor->prepare(loader_options.batch, nn::Mode::training);
    executor->initialise();
    loader->start_epoch(0);
    loader->next();
    const nn::BatchView view = loader->next();
    executor->load(view.images, view.labels, view.count, nn::Mode::training);
    executor->forward();
    return Replica{std::move(loader), std::move(executor)};
  };
  const auto gradients = [&](const nn::Executor& executor, double scale) {
    std::vector<std::vector<double>> all;
    for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
      std::vector<float> values(static_cast<std::size_t>(graph.parameters()[p].count()));
      executor.read_gradient(static_cast<int>(p), values);
      all.emplace_back(values.begin(), values.end());
      for (double& value : all.back()) value *= scale;
    }
    return all;
  };
  const Replica alone = run(0, 1);
  alone.executor->backward({});
  const auto expected = gradients(*alone.executor, 1);
  for (const Overlap overlap : overlaps()) {
    const Replica own = run(world().rank(), size);
    const auto& replica = own.executor;
    const auto reducer = make_mpi_reducer(world().duplicate(), replica->buckets(), overlap);
    replica->backward([&](int bucket) { reducer->start(bucket); }, [&] { reducer->progress(); });
    reducer->finish();
    const auto got = gradients(*replica, 1.0 / size);
    for (std::size_t p = 0; p < got.size(); ++p) {
      double difference = 0, norm = 0;
      for (std::size_t i = 0; i < got[p].size(); ++i) {
        difference += std::pow(got[p][i] - expected[p][i], 2);
        norm += std::pow(expected[p][i], 2);
      }
      INFO(graph.parameters()[p].name);
      CHECK(norm > 0);
      CHECK(std::sqrt(difference / norm) <= 1e-5);
    }
    CHECK_FALSE(first_difference(world(), hash_tensors(replica->buckets(), Held::gradients)));
  }
}

TEST_CASE("replicas are equal after 200 steps, in every way to overlap") {
  for (const char* overlap : {"none", "test", "thread"}) {
    if (std::strcmp(overlap, "thread") == 0 && !mpi_thread_multiple()) continue;
    const Params params =
        parallel_case({{"overlap", std::string(overlap)}, {"check_replicas", std::int64_t{50}}});
    Probes probes;
    const auto workload = made(params);
    workload->prepare();
    const OwnSamples own = take(*workload, params, 201, probes);
    CHECK(own.failure.empty());
    const Check check = workload->verify();
    INFO(overlap << ": " << check.method << ": " << check.message);
    CHECK(check.passed());
    const auto facts = nlohmann::json::parse(workload->results()).at("parallel");
    CHECK(facts.at("replicas") == world().size());
    CHECK(facts.at("replica_checks") == 5);  // after 50, 100, 150, 200 and 201 steps
    CHECK(own.buckets.size() == 201 * 3 * train_buckets(params).size());
    REQUIRE(train_buckets(params).size() > 2);
    // The main thread waits no longer than until the last sum is there.
    for (std::size_t i = 0; i + 2 < own.buckets.size(); i += 3)
      CHECK((own.buckets[i] > 0 && own.buckets[i] <= own.buckets[i + 1] &&
             own.buckets[i + 1] <= own.buckets[i + 2]));
    const double last_s = 1e-9 * static_cast<double>(own.stop.back() - own.start.back());
    CHECK(own.buckets.back() <= last_s);
  }
}

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
