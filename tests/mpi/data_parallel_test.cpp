// SPDX-License-Identifier: BSD-3-Clause
// One network on several ranks: the same gradients as one rank with the whole batch, and replicas that
// stay equal.
#include <cmath>
#include <nlohmann/json.hpp>

#include "data_parallel_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/models.hpp"

using namespace dlscale;

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
