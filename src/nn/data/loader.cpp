// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/loader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "nn/data/batch_queue.hpp"
#include "nn/data/loader_shared.hpp"
#include "nn/data/render.hpp"

namespace dlscale::nn {

void check_loader_options(const LoaderOptions& o) {
  const auto refuse = [](const std::string& what, const char* why) {
    throw Error(ExitCode::bad_input, "can't load data with " + what, why);
  };
  if (o.batch < 1) refuse(fmt::format("a batch of {}", o.batch), "it needs at least 1 image");
  if (o.workers < 0 || o.workers > 4096)
    refuse(fmt::format("{} workers", o.workers), "0 to 4096 are possible");
  if (o.workers > 0 && (o.depth < 1 || o.depth > 65536))
    refuse(fmt::format("a queue of {} batches per worker", o.depth), "1 to 65536 are possible");
  if (o.shards < 1 || o.shard < 0 || o.shard >= o.shards)
    refuse(fmt::format("shard {} of {}", o.shard, o.shards), "shards are numbered from 0");
  if (o.input.channels < 1 || o.input.height < 1 || o.input.width < 1)
    refuse(fmt::format("an input of {} × {} × {}", o.input.channels, o.input.height, o.input.width),
           "the model's input must be given");
  if (std::max(predicted_loader_memory(o, false), predicted_loader_memory(o, true)) > 0x1p60)
    refuse("batches of " + format_bytes(predicted_loader_memory(o, false)), "no machine holds them");
}

EpochSize::EpochSize(std::int64_t count, const LoaderOptions& options) {
  const std::int64_t padded = (count + options.shards - 1) / options.shards;
  // Full batches of all shards together: as many as one rank with the whole batch has, none padded.
  batches = options.drop_last ? count / (std::int64_t{options.batch} * options.shards)
                              : (padded + options.batch - 1) / options.batch;
  images = options.drop_last ? batches * options.batch : padded;
  if (batches < 1)
    throw Error(ExitCode::bad_input, fmt::format("an epoch has no batch of {}", options.batch),
                fmt::format("{} images on {} rank(s) are {} each, and an incomplete batch is dropped",
                            count, options.shards, padded),
                "choose a smaller batch");
}

int EpochSize::of_batch(std::int64_t number, int batch) const {
  return static_cast<int>(std::min<std::int64_t>(batch, images - number * batch));
}

namespace {

class SetLoader final : public Loader {
 public:
  SetLoader(std::shared_ptr<const Dataset> dataset, bool test, const LoaderOptions& options)
      : dataset_(std::move(dataset)),
        set_(test ? dataset_->test : dataset_->train),
        options_(options),
        shuffle_(options.shuffle && !test),
        size_(set_.count, options),
        render_(set_, dataset_->normalisation, options.input),
        queue_(options, [this](std::int64_t number, float* images, std::int32_t* labels) {
          return fill(number, images, labels);
        }) {}

  void start_epoch(std::int64_t epoch) override {
    queue_.start(size_.batches, [&] {
      order_ = epoch_order(set_.count, options_.seed, epoch, shuffle_, options_.shard, options_.shards);
    });
  }
  BatchView next() override { return queue_.next(); }
  std::int64_t batches() const override { return size_.batches; }
  std::int64_t images() const override { return size_.images; }
  double take_stall_s() override { return queue_.take_stall_s(); }
  std::int64_t memory_bytes() const override { return queue_.held_bytes(); }

 private:
  int fill(std::int64_t number, float* images, std::int32_t* labels) const {
    const int count = size_.of_batch(number, options_.batch);
    const std::int64_t* order = order_.data() + number * options_.batch;
    for (int i = 0; i < count; ++i, images += options_.input.count()) {
      render_(order[i], images);
      labels[i] = set_.labels[static_cast<std::size_t>(order[i])];
    }
    return count;
  }

  const std::shared_ptr<const Dataset> dataset_;
  const ImageSet& set_;
  const LoaderOptions options_;
  const bool shuffle_;
  const EpochSize size_;
  const Renderer render_;
  std::vector<std::int64_t> order_;  // written by start_epoch() only, while nobody fills
  BatchQueue queue_;                 // last: its threads use the others
};

}  // namespace

std::unique_ptr<Loader> make_loader(std::shared_ptr<const Dataset> dataset, bool test,
                                    const LoaderOptions& options) {
  check_loader_options(options);
  return std::make_unique<SetLoader>(std::move(dataset), test, options);
}

double predicted_loader_memory(const LoaderOptions& options, bool random) {
  return BatchSlots::bytes(random ? random_batches : BatchQueue::slots(options), options.batch,
                           options.input);
}

}  // namespace dlscale::nn
