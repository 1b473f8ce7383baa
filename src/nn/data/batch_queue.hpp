// SPDX-License-Identifier: BSD-3-Clause
/// Batches built ahead by threads of their own and handed out in order; what a loader is made of.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "device/buffer.hpp"
#include "nn/data/loader.hpp"

namespace dlscale::nn {

/// Memory of several batches, allocated once: every batch begins at a cache line.
class BatchSlots {
 public:
  BatchSlots(std::int64_t slots, std::int64_t batch, const Shape& input);
  float* images(std::int64_t slot) { return images_.data() + slot * image_floats_; }
  std::int32_t* labels(std::int64_t slot) { return labels_.data() + slot * label_count_; }
  std::int64_t count() const { return slots_; }
  std::int64_t held_bytes() const;
  BatchView view(std::int64_t slot, int count);

  /// What held_bytes() will say. In double: options may ask for anything.
  static double bytes(std::int64_t slots, std::int64_t batch, const Shape& input);

 private:
  std::int64_t slots_, pixels_, image_floats_, label_count_;
  Buffer<float> images_;
  Buffer<std::int32_t> labels_;
};

/// One batch in the hands of the user, the others being filled or full. With no workers there is one
/// slot, filled by next().
class BatchQueue {
 public:
  /// Writes batch `number` of the epoch and returns its count of images. Called by several threads at
  /// once, each with its own memory.
  using Fill = std::function<int(std::int64_t number, float* images, std::int32_t* labels)>;

  BatchQueue(const LoaderOptions& options, Fill fill);
  /// Waits for batches that are being filled.
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  /// Drops what is queued and waits until nothing is being filled, then runs `prepare` and begins anew
  /// with batch 0 of `batches`. If `prepare` throws, the epoch is empty.
  void start(std::int64_t batches, const std::function<void()>& prepare);
  /// The next batch; its count is 0 at the end. Rethrows what filling it threw, again and again until
  /// the next start().
  BatchView next();
  double take_stall_s();

  std::int64_t held_bytes() const { return slots_.held_bytes(); }
  static std::int64_t slots(const LoaderOptions& options);

 private:
  struct Slot {
    bool ready = false;
    int count = 0;
    std::exception_ptr error;
  };

  BatchView next_built_here();
  void produce();
  // One slot stays free for the batch that the user holds.
  bool may_fill() const { return next_fill_ < batches_ && next_fill_ - next_out_ < slots_.count() - 1; }

  const Fill fill_;
  const int workers_;
  BatchSlots slots_;

  std::mutex mutex_;  // guards all below
  std::condition_variable work_, ready_;
  std::vector<Slot> states_;
  std::int64_t batches_ = 0;    // of this epoch
  std::int64_t next_fill_ = 0;  // first batch that nobody has taken to fill
  std::int64_t next_out_ = 0;   // first batch not handed out
  std::int64_t released_ = 0;   // batches before this one are done with
  int filling_ = 0;             // threads that write to a slot
  bool stop_ = false;
  double stall_s_ = 0;
  std::vector<std::jthread> threads_;  // last: joined before anything else goes
};

}  // namespace dlscale::nn
