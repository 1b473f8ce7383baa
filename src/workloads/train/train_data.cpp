// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "base/error.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {
namespace {

nn::ImageSet first_of(const nn::ImageSet& all, std::int64_t count) {
  const auto pixels = static_cast<std::ptrdiff_t>(count * all.height * all.width);
  return {.count = count,
          .height = all.height,
          .width = all.width,
          .pixels = {all.pixels.begin(), all.pixels.begin() + pixels},
          .labels = {all.labels.begin(), all.labels.begin() + static_cast<std::ptrdiff_t>(count)}};
}

std::shared_ptr<const nn::Dataset> from_folder(const TrainData& data, std::int64_t classes,
                                               std::uint64_t seed, int threads) {
  auto whole = nn::open_dataset(data.source, seed, threads);
  if (whole->train.count < data.train_images || whole->test.count < data.test_images)
    throw Error(ExitCode::case_failed,
                fmt::format("{} has {} training and {} test images", data.source, whole->train.count,
                            whole->test.count),
                fmt::format("the case asks for {} and {}", data.train_images, data.test_images),
                "set train_images and test_images");
  if (whole->classes > classes)
    throw Error(ExitCode::case_failed, fmt::format("{} has {} classes", data.source, whole->classes),
                fmt::format("the network tells {} apart", classes), "set classes");
  if (whole->train.count == data.train_images && whole->test.count == data.test_images) return whole;
  auto part = std::make_shared<nn::Dataset>();
  part->name = whole->name;
  part->synthetic = whole->synthetic;
  part->origin = whole->origin;
  part->classes = whole->classes;
  part->normalisation = whole->normalisation;
  part->train = first_of(whole->train, data.train_images);
  part->test = first_of(whole->test, data.test_images);
  return part;
}

}  // namespace

std::shared_ptr<const nn::Dataset> open_train_data(const TrainData& data, std::int64_t classes,
                                                   std::uint64_t seed, int threads) {
  if (data.source == "random") return nullptr;
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const nn::Dataset>> open;
  const std::lock_guard lock(mutex);
  auto& known = open[fmt::format("{} {} {} {} {}", data.train_images, data.test_images, classes, seed,
                                 data.source)];
  if (auto held = known.lock()) return held;
  auto made = data.source == "synthetic"
                  ? nn::make_synthetic(seed, data.train_images, data.test_images, threads)
                  : from_folder(data, classes, seed, threads);
  known = made;
  return made;
}

}  // namespace dlscale
