// SPDX-License-Identifier: BSD-3-Clause
// How gradients are cut into buckets, and the hash that tells tensors apart.
#include <algorithm>
#include <bit>
#include <limits>
#include <set>

#include "dlscale_catch.hpp"
#include "nn/executor.hpp"
#include "nn/models.hpp"
#include "nn/tensor_hash.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

double bytes_of(const Parameter& parameter) {
  return 64.0 * static_cast<double>((parameter.count() + 15) / 16);
}

}  // namespace

TEST_CASE("buckets are as full as their limits allow, a small one first, last layers first") {
  const std::int64_t bytes = GENERATE(1 << 12, 5 << 19, 25 << 20);
  for (const Model& model : models()) {
    const Graph graph = model.build({.image = model.smallest_image});
    ExecutorOptions options;
    options.bucket_bytes = bytes;
    options.first_bucket_bytes = 1 << 20;
    const auto cut = cut_buckets(graph, options);
    const auto sizes = bucket_sizes(graph, options);
    REQUIRE(sizes.size() == cut.size());
    std::vector<int> all;
    for (std::size_t b = 0; b < cut.size(); ++b) {
      const auto limit = static_cast<double>(
          b == 0 ? std::min(options.first_bucket_bytes, options.bucket_bytes) : options.bucket_bytes);
      double sum = 0;
      for (const int p : cut[b]) sum += bytes_of(graph.parameters()[static_cast<std::size_t>(p)]);
      CHECK(sizes[b] == sum);
      CHECK((sum <= limit || cut[b].size() == 1));
      if (b > 0) {  // the first of this one had no room in the one before
        const auto limit_before = static_cast<double>(
            b == 1 ? std::min(options.first_bucket_bytes, options.bucket_bytes) : options.bucket_bytes);
        const int first = cut[b].front();
        CHECK(sizes[b - 1] + bytes_of(graph.parameters()[static_cast<std::size_t>(first)]) >
              limit_before);
      }
      all.insert(all.end(), cut[b].begin(), cut[b].end());
    }
    CHECK(all.size() == graph.parameters().size());
    CHECK(std::is_sorted(all.rbegin(), all.rend()));
  }
}

TEST_CASE("an executor has the buckets that were cut, and room for what its library pads") {
  for (const auto& [name, image] : std::initializer_list<std::pair<const char*, std::int64_t>>{
           {"topflight-cnn", 0}, {"aalto-conv2d", 0}, {"resnet50v2", 33}}) {
    const Graph graph = find_model(name)->build({.image = image});
    ExecutorOptions options;
    options.bucket_bytes = 1 << 20;
    const auto executor = make_cpu_executor(graph, options);
    executor->prepare(2, Mode::training);
    const auto cut = cut_buckets(graph, options);
    const auto sizes = bucket_sizes(graph, options);
    REQUIRE(executor->buckets().size() == cut.size());
    double planned = 0, held = 0;
    for (std::size_t b = 0; b < cut.size(); ++b) {
      const Bucket& bucket = executor->buckets()[b];
      CHECK(bucket.members == cut[b]);
      REQUIRE(bucket.counts.size() == cut[b].size());
      std::int64_t count = 0;
      for (std::size_t m = 0; m < cut[b].size(); ++m) {
        CHECK(bucket.counts[m] >= graph.parameters()[static_cast<std::size_t>(cut[b][m])].count());
        count += bucket.counts[m];
      }
      CHECK(bucket.count == count);
      planned += sizes[b];
      held += 4.0 * static_cast<double>(bucket.count);
    }
    INFO(name << ": " << planned << " B planned, " << held << " B held");
    CHECK(held >= planned);
    CHECK(held <= 1.02 * planned);
  }
}

TEST_CASE("between the layers of the backward pass the executor says so") {
  const Graph graph = find_model("topflight-cnn")->build({.image = 8});
  ExecutorOptions options;
  options.bucket_bytes = 100'000;
  const auto executor = make_cpu_executor(graph, options);
  executor->prepare(2, Mode::training);
  executor->initialise();
  std::vector<float> images(2 * 64, 0.5F);
  const std::vector<std::int32_t> labels{1, 2};
  executor->load(images, labels, 2, Mode::training);
  executor->forward();
  std::string calls;
  executor->backward([&](int) { calls += 'r'; }, [&] { calls += '-'; });
  INFO(calls);
  CHECK(std::count(calls.begin(), calls.end(), '-') > 5);
  CHECK(std::count(calls.begin(), calls.end(), 'r') == std::ssize(executor->buckets()));
  CHECK(calls.find('r') < calls.rfind('-'));  // the first is announced while others are to come
}

TEST_CASE("replicas drop other values, from the same weights") {
  const Graph graph = find_model("topflight-cnn")->build({.image = 8});
  const auto run = [&](std::uint64_t replica) {
    ExecutorOptions options;
    options.replica = replica;
    const auto executor = make_cpu_executor(graph, options);
    executor->prepare(2, Mode::training);
    executor->initialise();
    std::vector<float> images(2 * 64, 0.5F), weights(32 * 9);
    const std::vector<std::int32_t> labels{1, 2};
    executor->read_parameter(0, weights);
    executor->load(images, labels, 2, Mode::training);
    executor->forward();
    return std::pair(executor->loss(), weights);
  };
  CHECK(run(0) == run(0));
  CHECK(run(0).first != run(1).first);
  CHECK(run(0).second == run(1).second);
}

TEST_CASE("every flipped bit, swap and length changes a tensor's hash") {
  for (const std::size_t size : {1u, 2u, 7u, 8u, 9u, 16u, 31u, 40u}) {
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = 0.25F * static_cast<float>(i + 1);
    std::set<std::uint64_t> seen{hash_values(values)};
    for (std::size_t i = 0; i < size; ++i)
      for (int bit = 0; bit < 32; ++bit) {
        std::vector<float> other = values;
        other[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(other[i]) ^ (1U << bit));
        CHECK(seen.insert(hash_values(other)).second);
      }
    for (std::size_t i = 1; i < size; ++i) {
      std::vector<float> other = values;
      std::swap(other[0], other[i]);
      CHECK(seen.insert(hash_values(other)).second);
    }
    std::vector<float> longer = values;
    longer.push_back(0);
    CHECK(seen.insert(hash_values(longer)).second);
  }
  const std::vector<float> zero{0.0F}, negative{-0.0F}, nan{std::numeric_limits<float>::quiet_NaN()};
  CHECK(hash_values(zero) != hash_values(negative));
  CHECK(hash_values(nan) == hash_values(nan));
  CHECK(hash_values({}) != hash_values(zero));
}
