// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <numeric>
#include <set>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/data/loader.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

struct Epoch {
  std::vector<int> counts;
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  bool operator==(const Epoch&) const = default;
};

Epoch run_epoch(Loader& loader, std::int64_t epoch) {
  Epoch out;
  loader.start_epoch(epoch);
  for (BatchView view = loader.next(); view.count > 0; view = loader.next()) {
    out.counts.push_back(view.count);
    out.images.insert(out.images.end(), view.images.begin(), view.images.end());
    out.labels.insert(out.labels.end(), view.labels.begin(), view.labels.end());
  }
  CHECK(loader.next().count == 0);
  return out;
}

/// What the loader must deliver, the slow way.
Epoch expected_epoch(const Dataset& set, const ImageSet& images, bool shuffle, const LoaderOptions& o,
                     std::int64_t epoch) {
  Epoch out;
  std::vector<std::int64_t> order = epoch_order(images.count, o.seed, epoch, shuffle, o.shard, o.shards);
  if (o.drop_last) order.resize(static_cast<std::size_t>(images.count / (o.batch * o.shards) * o.batch));
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % static_cast<std::size_t>(o.batch) == 0) out.counts.push_back(0);
    ++out.counts.back();
    std::vector<float> image(static_cast<std::size_t>(o.input.count()));
    render_image(images, set.normalisation, order[i], o.input, image.data());
    out.images.insert(out.images.end(), image.begin(), image.end());
    out.labels.push_back(images.labels[static_cast<std::size_t>(order[i])]);
  }
  return out;
}

LoaderOptions options_of(int batch, int workers, Shape input = {1, 28, 28}) {
  LoaderOptions o;
  o.batch = batch;
  o.workers = workers;
  o.input = input;
  o.seed = 3;
  return o;
}

}  // namespace

TEST_CASE("the order of an epoch is a permutation of its own") {
  const auto order = epoch_order(1000, 1, 0, true, 0, 1);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
  CHECK(order != all);
  CHECK(order == epoch_order(1000, 1, 0, true, 0, 1));
  CHECK(order != epoch_order(1000, 1, 1, true, 0, 1));
  CHECK(order != epoch_order(1000, 2, 0, true, 0, 1));
  CHECK(epoch_order(1000, 1, 0, false, 0, 1) == all);
  // The same on every machine.
  CHECK(epoch_order(8, 1, 0, true, 0, 1) == std::vector<std::int64_t>{5, 1, 4, 7, 6, 2, 3, 0});
  // Every image is first equally often: 200 of 2000 epochs each, standard deviation 13.
  std::vector<int> first(10);
  for (std::int64_t epoch = 0; epoch < 2000; ++epoch)
    ++first[static_cast<std::size_t>(epoch_order(10, 7, epoch, true, 0, 1)[0])];
  for (const int n : first) CHECK(std::abs(n - 200) < 70);
}

TEST_CASE("the shards together are the permutation, padded by its beginning") {
  for (const bool shuffle : {false, true})
    for (const std::int64_t count : {1, 2, 10, 101})
      for (const int shards : {1, 2, 3, 4, 7, 25}) {
        const auto whole = epoch_order(count, 5, 2, shuffle, 0, 1);
        const std::int64_t each = (count + shards - 1) / shards;
        for (int shard = 0; shard < shards; ++shard) {
          const auto mine = epoch_order(count, 5, 2, shuffle, shard, shards);
          REQUIRE(std::ssize(mine) == each);
          for (std::int64_t i = 0; i < each; ++i)
            REQUIRE(mine[static_cast<std::size_t>(i)] ==
                    whole[static_cast<std::size_t>((i * shards + shard) % count)]);
        }
      }
  CHECK(refusal([] { epoch_order(0, 0, 0, true, 0, 1); }) != "");
  CHECK(refusal([] { epoch_order(5, 0, 0, true, 2, 2); }) != "");
}

TEST_CASE("pixels are normalised as torchvision does, to the bit") {
  ImageSet set{1, 16, 16, Bytes(256), {0}};
  std::iota(set.pixels.begin(), set.pixels.end(), std::uint8_t{0});
  std::vector<float> out(256);
  render_image(set, {0.1307, 0.3081}, 0, {1, 16, 16}, out.data());
  for (std::size_t v = 0; v < 256; ++v) {
    const float expected = (static_cast<float>(v) / 255.F - 0.1307F) / 0.3081F;
    REQUIRE(out[v] == expected);
  }
  CHECK(out[0] == Approx(-0.42421296));  // the published black and white of MNIST
  CHECK(out[255] == Approx(2.8214867));
}

TEST_CASE("an image is placed in the middle of a larger input, in all channels") {
  const auto set = make_synthetic(1, 3, 1);
  const Normalisation norm{0.5, 0.25};
  for (const Shape input : {Shape{1, 28, 28}, Shape{3, 32, 32}, Shape{2, 29, 31}, Shape{1, 28, 40}}) {
    std::vector<float> out(static_cast<std::size_t>(input.count()), -99.F);
    render_image(set->train, norm, 2, input, out.data());
    std::size_t at = 0;
    for (std::int64_t c = 0; c < input.channels; ++c)
      for (std::int64_t y = 0; y < input.height; ++y)
        for (std::int64_t x = 0; x < input.width; ++x) {
          const std::int64_t iy = y - (input.height - 28) / 2, ix = x - (input.width - 28) / 2;
          const bool inside = iy >= 0 && iy < 28 && ix >= 0 && ix < 28;
          const int pixel =
              inside ? set->train.pixels[static_cast<std::size_t>((2 * 28 + iy) * 28 + ix)] : 0;
          REQUIRE(out[at++] == (static_cast<float>(pixel) / 255.F - 0.5F) / 0.25F);
        }
  }
  std::vector<float> out(784);
  CHECK(contains(refusal([&] {
                   render_image(set->train, norm, 0, {1, 28, 27}, out.data());
                 }),
                 "don't fit"));
  CHECK(contains(refusal([&] {
                   render_image(set->train, norm, 3, {1, 28, 28}, out.data());
                 }),
                 "no image 3"));
}

TEST_CASE("batches do not depend on the number of workers, to the bit") {
  const auto set = make_synthetic(2, 103, 41);
  for (const bool drop_last : {false, true})
    for (const bool shuffle : {false, true})
      for (const int shards : {1, 3})
        for (const Shape input : {Shape{1, 28, 28}, Shape{3, 32, 32}})
          for (const bool test : {false, true})
            for (const int workers : {0, 1, 3}) {
              LoaderOptions o = options_of(8, workers, input);
              o.drop_last = drop_last;
              o.shuffle = shuffle;
              o.shards = shards;
              o.shard = shards - 1;
              const auto loader = make_loader(set, test, o);
              const ImageSet& images = test ? set->test : set->train;
              for (const std::int64_t epoch : {0, 1}) {
                const Epoch wanted = expected_epoch(*set, images, shuffle && !test, o, epoch);
                const Epoch got = run_epoch(*loader, epoch);
                REQUIRE(got.counts == wanted.counts);
                REQUIRE(got.labels == wanted.labels);
                REQUIRE(got.images == wanted.images);
                REQUIRE(loader->batches() == std::ssize(wanted.counts));
                REQUIRE(loader->images() == std::ssize(wanted.labels));
              }
            }
}

TEST_CASE("full batches of all shards together are those of one rank with the whole batch") {
  const auto set = make_synthetic(2, 103, 1);
  const auto whole_steps = [&](int shards, std::int64_t step) {
    std::multiset<float> sums;  // one number per image; the order inside a step is free
    for (int shard = 0; shard < shards; ++shard) {
      LoaderOptions o = options_of(12 / shards, 0);
      o.drop_last = true;
      o.shards = shards;
      o.shard = shard;
      const auto loader = make_loader(set, false, o);
      CHECK(loader->batches() == 103 / 12);
      loader->start_epoch(1);
      BatchView view;
      for (std::int64_t s = 0; s <= step; ++s) view = loader->next();
      for (int i = 0; i < view.count; ++i) {
        const auto pixels = view.images.subspan(static_cast<std::size_t>(i) * 784, 784);
        float sum = 0;
        for (const float pixel : pixels) sum += pixel;
        sums.insert(sum);
      }
    }
    return sums;
  };
  for (const std::int64_t step : {0, 3, 7}) {
    const auto one = whole_steps(1, step);
    CHECK(one.size() == 12);
    for (const int shards : {2, 3, 4, 6, 12}) CHECK(whole_steps(shards, step) == one);
  }
  // 10 images in 3 shards of 4, of which the last are repeated: one full step of 3 × 2, not two.
  LoaderOptions o = options_of(2, 0);
  o.drop_last = true;
  o.shards = 3;
  CHECK(make_loader(make_synthetic(2, 10, 1), false, o)->batches() == 1);
}

TEST_CASE("the test split comes in its order") {
  const auto set = make_synthetic(2, 10, 41);
  const Epoch got = run_epoch(*make_loader(set, true, options_of(7, 2)), 5);
  CHECK(std::equal(got.labels.begin(), got.labels.end(), set->test.labels.begin(),
                   set->test.labels.end()));
}

TEST_CASE("an epoch can be broken off, and a loader dropped, at any point") {
  const auto set = make_synthetic(2, 200, 1);
  for (const int workers : {0, 1, 3}) {
    const auto loader = make_loader(set, false, options_of(4, workers));
    CHECK(loader->next().count == 0);
    for (int taken = 0; taken < 12; ++taken) {
      loader->start_epoch(taken);
      for (int i = 0; i < taken; ++i) REQUIRE(loader->next().count == 4);
    }
    CHECK(run_epoch(*loader, 3) == expected_epoch(*set, set->train, true, options_of(4, workers), 3));
    for (int taken = 0; taken < 6; ++taken) {
      const auto dropped = make_loader(set, false, options_of(4, workers));
      dropped->start_epoch(0);
      for (int i = 0; i < taken; ++i) dropped->next();
    }
  }
}

TEST_CASE("memory is what was predicted") {
  const auto set = make_synthetic(2, 64, 1);
  for (const int batch : {1, 7, 64})
    for (const int workers : {0, 1, 3})
      for (const int depth : {1, 2, 5})
        for (const Shape input : {Shape{1, 28, 28}, Shape{3, 31, 33}}) {
          LoaderOptions o = options_of(batch, workers, input);
          o.depth = depth;
          CHECK(predicted_loader_memory(o, false) ==
                static_cast<double>(make_loader(set, false, o)->memory_bytes()));
          CHECK(predicted_loader_memory(o, true) ==
                static_cast<double>(make_random_loader(64, 10, o)->memory_bytes()));
          const double least =
              4.0 * (workers * depth + 1) * batch * static_cast<double>(input.count() + 1);
          CHECK(predicted_loader_memory(o, false) >= least);
          CHECK(predicted_loader_memory(o, false) <= least + 120.0 * (workers * depth + 1));
        }
}

TEST_CASE("options that can't be are refused in a sentence") {
  const auto set = make_synthetic(2, 20, 10);
  const auto with = [&](auto change) {
    LoaderOptions o = options_of(8, 0);
    change(o);
    const std::string random = refusal([&] { make_random_loader(20, 10, o); });
    const std::string loaded = refusal([&] { make_loader(set, false, o); });
    CHECK((random == loaded || random.empty()));
    return loaded;
  };
  CHECK(contains(with([](auto& o) { o.batch = 0; }), "a batch of 0"));
  CHECK(contains(with([](auto& o) { o.workers = -1; }), "-1 workers"));
  CHECK(contains(with([](auto& o) { o.workers = 1, o.depth = 0; }), "queue of 0"));
  CHECK(contains(with([](auto& o) { o.shard = 1; }), "shard 1 of 1"));
  CHECK(contains(with([](auto& o) { o.input = {}; }), "input of 0 × 1 × 1"));
  CHECK(contains(with([](auto& o) { o.input = {1, 20, 20}; }), "don't fit"));
  CHECK(contains(with([](auto& o) {
                   o.input = {1LL << 40, 1LL << 40, 1LL << 40};
                 }),
                 "no machine holds"));
  CHECK(contains(with([](auto& o) { o.drop_last = true, o.batch = 32; }), "no batch of 32"));
  CHECK(with([](auto& o) { o.batch = 32; }).empty());
  CHECK(contains(refusal([&] { make_random_loader(0, 10, options_of(1, 0)); }), "0 random images"));
}

TEST_CASE("random batches have the right size, scale and labels, and take turns") {
  LoaderOptions o = options_of(16, 2, {3, 17, 19});
  const auto loader = make_random_loader(16 * 9 + 5, 7, o);
  const Epoch epoch = run_epoch(*loader, 0);
  CHECK(loader->batches() == 10);
  CHECK(loader->images() == 149);
  REQUIRE(epoch.counts.size() == 10);
  CHECK(epoch.counts.front() == 16);
  CHECK(epoch.counts.back() == 5);
  const std::size_t four = 4 * 16 * 3 * 17 * 19;
  CHECK(std::equal(epoch.images.begin(), epoch.images.begin() + four, epoch.images.begin() + four));
  CHECK(std::set<float>(epoch.images.begin(), epoch.images.begin() + four).size() > four * 99 / 100);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < four; ++i)
    sum += epoch.images[i], squares += epoch.images[i] * epoch.images[i];
  CHECK(std::abs(sum / four) < 0.02);
  CHECK(std::abs(squares / four - 1) < 0.02);
  CHECK(*std::min_element(epoch.labels.begin(), epoch.labels.end()) == 0);
  CHECK(*std::max_element(epoch.labels.begin(), epoch.labels.end()) == 6);
  CHECK(run_epoch(*loader, 1) == epoch);
  o.seed = 4;
  CHECK_FALSE(run_epoch(*make_random_loader(149, 7, o), 0) == epoch);
}

TEST_CASE("random shards hold together what one rank with the whole batch holds") {
  const std::size_t pixels = 4;
  const Epoch whole = run_epoch(*make_random_loader(60, 10, options_of(12, 0, {1, 2, 2})), 0);
  for (int shard = 0; shard < 3; ++shard) {
    LoaderOptions o = options_of(4, 0, {1, 2, 2});
    o.shards = 3, o.shard = shard;
    const Epoch part = run_epoch(*make_random_loader(60, 10, o), 0);
    REQUIRE(part.labels.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
      const std::size_t at = i * 3 + static_cast<std::size_t>(shard);
      REQUIRE(part.labels[i] == whole.labels[at]);
      for (std::size_t p = 0; p < pixels; ++p)
        REQUIRE(part.images[i * pixels + p] == whole.images[at * pixels + p]);
    }
  }
}
