// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/data/folder.hpp"
#include "nn/data/loader.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

/// FNV-1a, 64 bits.
std::uint64_t hash_of(const Bytes& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

/// Softmax regression, trained by mini-batch gradient descent: scores = W x + b.
class Linear {
 public:
  void train(Loader& loader, float rate) {
    for (BatchView batch = loader.next(); batch.count > 0; batch = loader.next()) {
      std::vector<float> gradient(weights_.size());
      for (int i = 0; i < batch.count; ++i) {
        const float* x = batch.images.data() + i * pixels;
        float p[10], sum = 0;
        scores(x, p);
        const float most = *std::max_element(p, p + 10);
        for (float& v : p) sum += v = std::exp(v - most);
        for (int k = 0; k < 10; ++k) {
          const float error = p[k] / sum - (batch.labels[static_cast<std::size_t>(i)] == k ? 1.F : 0.F);
          float* row = gradient.data() + k * (pixels + 1);
          for (int j = 0; j < pixels; ++j) row[j] += error * x[j];
          row[pixels] += error;
        }
      }
      const float step = rate / static_cast<float>(batch.count);
      for (std::size_t j = 0; j < weights_.size(); ++j) weights_[j] -= step * gradient[j];
    }
  }

  double accuracy(Loader& loader) const {
    int right = 0, all = 0;
    for (BatchView batch = loader.next(); batch.count > 0; batch = loader.next())
      for (int i = 0; i < batch.count; ++i, ++all) {
        float p[10];
        scores(batch.images.data() + i * pixels, p);
        right += std::max_element(p, p + 10) - p == batch.labels[static_cast<std::size_t>(i)];
      }
    return static_cast<double>(right) / all;
  }

 private:
  static constexpr int pixels = 28 * 28;
  void scores(const float* x, float* out) const {
    for (int k = 0; k < 10; ++k) {
      const float* row = weights_.data() + k * (pixels + 1);
      float sums[8] = {};  // eight sums side by side: one alone waits for itself
      for (int j = 0; j < pixels; ++j) sums[j % 8] += row[j] * x[j];
      out[k] = row[pixels];
      for (const float sum : sums) out[k] += sum;
    }
  }
  std::vector<float> weights_ = std::vector<float>(std::size_t{10} * (pixels + 1));
};

}  // namespace

TEST_CASE("synthetic images are a function of seed, split and index alone") {
  const auto set = make_synthetic(7, 700, 300, 1);
  for (const int threads : {2, 3, 5, 16}) {
    const auto other = make_synthetic(7, 700, 300, threads);
    CHECK(other->train.pixels == set->train.pixels);
    CHECK(other->train.labels == set->train.labels);
    CHECK(other->test.pixels == set->test.pixels);
    CHECK(other->test.labels == set->test.labels);
  }
  const auto more = make_synthetic(7, 1000, 310, 2);
  CHECK(std::equal(set->train.pixels.begin(), set->train.pixels.end(), more->train.pixels.begin()));
  CHECK(std::equal(set->test.pixels.begin(), set->test.pixels.end(), more->test.pixels.begin()));
  CHECK(make_synthetic(8, 700, 300)->train.pixels != set->train.pixels);
  CHECK_FALSE(std::equal(set->test.pixels.begin(), set->test.pixels.end(), set->train.pixels.begin()));
  CHECK(set->synthetic);
  CHECK(set->classes == 10);
}

TEST_CASE("the pixels of version 1 stay what they are") {
  const auto set = make_synthetic(0, 1000, 100);
  CHECK(hash_of(set->train.labels) == 0x96d0fa02bb4932a3ULL);
#if defined(__x86_64__)
  // Where the compiler fuses multiply-adds, single pixels may differ by one level.
  CHECK(hash_of(set->train.pixels) == 0x1a3bb9e43e8fba8eULL);
#endif
}

TEST_CASE("synthetic classes are balanced and the normalisation fits") {
  const auto set = make_synthetic(1, 10'000, 2'000, 2);
  int counts[10] = {};
  for (const std::uint8_t label : set->train.labels) {
    REQUIRE(label < 10);
    ++counts[label];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 150);  // five standard deviations
  const Normalisation own = measure_pixels(set->train);
  CHECK(std::abs(own.mean - set->normalisation.mean) < 0.003);
  CHECK(std::abs(own.deviation - set->normalisation.deviation) < 0.003);
  // No image is empty or repeated.
  std::vector<std::uint64_t> images;
  for (std::size_t i = 0; i < 2'000; ++i) {
    const auto first = set->test.pixels.begin() + static_cast<std::ptrdiff_t>(i * 784);
    images.push_back(hash_of(Bytes(first, first + 784)));
    REQUIRE(*std::max_element(first, first + 784) >= 100);
  }
  std::sort(images.begin(), images.end());
  CHECK(std::adjacent_find(images.begin(), images.end()) == images.end());
}

TEST_CASE("a linear classifier learns something of the synthetic set, but not enough") {
  const auto set = make_synthetic(3, 10'000, 3'000, 2);
  LoaderOptions options;
  options.input = {1, 28, 28};
  const auto train = make_loader(set, false, options), test = make_loader(set, true, options);
  Linear model;
  for (int epoch = 0; epoch < 8; ++epoch) {
    train->start_epoch(epoch);
    model.train(*train, epoch < 5 ? 0.02F : 0.005F);
  }
  test->start_epoch(0);
  const double accuracy = model.accuracy(*test);
  INFO("accuracy " << accuracy);
  CHECK(accuracy > 0.30);
  CHECK(accuracy < 0.90);
}

TEST_CASE("impossible sizes of the synthetic set are refused") {
  CHECK(contains(refusal([] { make_synthetic(0, 0, 1); }), "0 + 1 images"));
  CHECK(contains(refusal([] { make_synthetic(0, 1, std::int64_t{1} << 60); }),
                 "can't make a synthetic set"));
}
