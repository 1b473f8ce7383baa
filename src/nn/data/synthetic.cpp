// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/synthetic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/error.hpp"
#include "nn/data/canvas.hpp"

namespace dlscale::nn {
namespace {

constexpr std::int64_t image_pixels = std::int64_t{Canvas::side} * Canvas::side;

ImageSet empty_set(std::int64_t count) {
  ImageSet set{count, Canvas::side, Canvas::side, {}, {}};
  set.pixels.resize(static_cast<std::size_t>(count * image_pixels));
  set.labels.resize(static_cast<std::size_t>(count));
  return set;
}

void draw_range(ImageSet& set, std::uint64_t seed, Split split, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; ++i)
    set.labels[static_cast<std::size_t>(i)] =
        draw_synthetic(seed, split, i, set.pixels.data() + i * image_pixels);
}

}  // namespace

Normalisation synthetic_normalisation() {
  return {0.1065, 0.2089};
}

std::string synthetic_origin(std::uint64_t seed) {
  return fmt::format("dlscale synthetic glyphs, version {}, seed {}", synthetic_version, seed);
}

std::shared_ptr<const Dataset> make_synthetic(std::uint64_t seed, std::int64_t train_count,
                                              std::int64_t test_count, int threads) {
  constexpr std::int64_t most = 100'000'000;
  if (train_count < 1 || test_count < 1 || train_count > most || test_count > most)
    throw Error(ExitCode::bad_input,
                fmt::format("can't make a synthetic set of {} + {} images", train_count, test_count),
                fmt::format("each split has 1 to {}", most));
  auto set = std::make_shared<Dataset>();
  set->name = "synthetic";
  set->synthetic = true;
  set->origin = synthetic_origin(seed);
  set->normalisation = synthetic_normalisation();
  set->train = empty_set(train_count);
  set->test = empty_set(test_count);

  // Pieces are taken in any order: an image does not depend on who draws it.
  constexpr std::int64_t piece = 256;
  std::atomic<std::int64_t> next{0};
  const std::int64_t total = train_count + test_count;
  const auto draw = [&] {
    for (std::int64_t i = next.fetch_add(piece); i < total; i = next.fetch_add(piece)) {
      const std::int64_t end = std::min(i + piece, total);
      draw_range(set->train, seed, Split::train, i, std::min(end, train_count));
      draw_range(set->test, seed, Split::test, std::max(i, train_count) - train_count,
                 end - train_count);
    }
  };
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < std::min(threads, 1024); ++t) others.emplace_back(draw);
    draw();
  }
  return set;
}

}  // namespace dlscale::nn
