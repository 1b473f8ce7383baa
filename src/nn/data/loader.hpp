// SPDX-License-Identifier: BSD-3-Clause
/// Batches of an epoch: seeded shuffle, this rank's shard, producer threads, a bounded queue.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nn/data/dataset.hpp"

namespace dlscale::nn {

struct LoaderOptions {
  int batch = 64;
  int workers = 0;  ///< producer threads; 0 = built by the caller's next()
  int depth = 2;    ///< batches in the queue per worker, as PyTorch's default
  bool shuffle = true;
  bool drop_last = false;  ///< only batches that are full in every shard
  std::uint64_t seed = 0;
  int shard = 0, shards = 1;  ///< this rank's part of every epoch
  Shape input;                ///< of the model
};

/// One batch, valid until the next call of next() or start_epoch().
struct BatchView {
  int count = 0;                         ///< images; less than the batch at the end of an epoch
  std::span<const float> images;         ///< count × C × H × W
  std::span<const std::int32_t> labels;  ///< count
};

/// Indices of one epoch for one shard: a permutation of 0 … count − 1 by (seed, epoch), padded to a
/// multiple of shards by repeating its beginning (as PyTorch's DistributedSampler does), every shards-th
/// of it. Without `shuffle` in order. Independent of everything else.
std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch,
                                      bool shuffle, int shard, int shards);

class Loader {
 public:
  virtual ~Loader() = default;
  /// Begins epoch `epoch` (0, 1, …); batches still queued from an earlier one are dropped. Producers
  /// start with the first epoch, with the affinity of the calling thread, and sleep between epochs.
  virtual void start_epoch(std::int64_t epoch) = 0;
  /// count = 0 at the end of the epoch. Batches come in order whatever the number of workers. What a
  /// producer threw is thrown here in place of its batch.
  virtual BatchView next() = 0;
  virtual std::int64_t batches() const = 0;  ///< per epoch
  virtual std::int64_t images() const = 0;   ///< per epoch and shard
  /// Seconds next() was blocked because no batch was ready, since the last call; without workers the
  /// time it took to build batches.
  virtual double take_stall_s() = 0;
  /// Of the batches' memory; the order of the epoch takes 8 bytes per image and shard on top.
  virtual std::int64_t memory_bytes() const = 0;
};

/// From a set in memory; the test split is always in order. Producers are threads of their own, never
/// OpenMP's. Throws Error(bad_input) for options that can't be, images that don't fit the input, or an
/// epoch without a batch.
std::unique_ptr<Loader> make_loader(std::shared_ptr<const Dataset> dataset, bool test,
                                    const LoaderOptions& options);

/// Seeded random images of any shape (uniform, mean 0, standard deviation 1), `count` of them said to be
/// in an epoch; four distinct batches are made once and handed out in turn: nothing is loaded, `workers`
/// and `shuffle` mean nothing. p shards with a batch of b hold together what one with a batch of p · b
/// does.
std::unique_ptr<Loader> make_random_loader(std::int64_t count, std::int64_t classes,
                                           const LoaderOptions& options);

/// What memory_bytes() of the made loader will say: what it holds beside the set. Pure.
double predicted_loader_memory(const LoaderOptions& options, bool random);

}  // namespace dlscale::nn
