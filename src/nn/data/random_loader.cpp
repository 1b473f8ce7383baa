// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "device/random.hpp"
#include "nn/data/batch_queue.hpp"
#include "nn/data/loader_shared.hpp"

namespace dlscale::nn {
namespace {

class RandomLoader final : public Loader {
 public:
  RandomLoader(std::int64_t count, std::int64_t classes, const LoaderOptions& options)
      : options_(options), size_(count, options), slots_(random_batches, options.batch, options.input) {
    for (std::int64_t slot = 0; slot < random_batches; ++slot)
      for (std::int64_t i = 0; i < options.batch; ++i) make_image(slot, i, classes);
  }

  void start_epoch(std::int64_t) override { next_ = 0; }
  BatchView next() override {
    if (next_ == size_.batches) return {};
    const std::int64_t number = next_++;
    return slots_.view(number % random_batches, size_.of_batch(number, options_.batch));
  }
  std::int64_t batches() const override { return size_.batches; }
  std::int64_t images() const override { return size_.images; }
  double take_stall_s() override { return 0; }
  std::int64_t memory_bytes() const override { return slots_.held_bytes(); }

 private:
  // Numbered as a set's images in order are dealt out: p ranks with a batch of b hold together what one
  // rank with a batch of p · b holds.
  void make_image(std::int64_t slot, std::int64_t i, std::int64_t classes) {
    constexpr std::uint64_t pixel_stream = 0x1a6e5, label_stream = 0x1abe1;
    const auto index =
        static_cast<std::uint64_t>((slot * options_.batch + i) * options_.shards + options_.shard);
    const std::int64_t pixels = options_.input.count();
    const std::uint64_t key = stream_key(options_.seed, pixel_stream);
    const double scale = 1 / uniform_sigma;
    float* out = slots_.images(slot) + i * pixels;
    for (std::int64_t p = 0; p < pixels; ++p)
      out[p] = static_cast<float>(scale * uniform_at(key, index * static_cast<std::uint64_t>(pixels) +
                                                              static_cast<std::uint64_t>(p)));
    const std::uint64_t bits =
        mix64(stream_key(options_.seed, label_stream) + index * 0x9e3779b97f4a7c15ULL);
    slots_.labels(slot)[i] = static_cast<std::int32_t>(bits % static_cast<std::uint64_t>(classes));
  }

  const LoaderOptions options_;
  const EpochSize size_;
  BatchSlots slots_;
  std::int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<Loader> make_random_loader(std::int64_t count, std::int64_t classes,
                                           const LoaderOptions& options) {
  check_loader_options(options);
  if (count < 1 || classes < 1)
    throw Error(ExitCode::bad_input,
                fmt::format("can't make {} random images of {} classes", count, classes),
                "there must be at least 1 of each");
  return std::make_unique<RandomLoader>(count, classes, options);
}

}  // namespace dlscale::nn
