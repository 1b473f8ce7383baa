// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/batch_queue.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace dlscale::nn {
namespace {

constexpr std::int64_t line_values = 16;  // of 4 bytes in a cache line

std::int64_t whole_lines(std::int64_t values) {
  return (values + line_values - 1) / line_values * line_values;
}

}  // namespace

BatchSlots::BatchSlots(std::int64_t slots, std::int64_t batch, const Shape& input)
    : slots_(slots),
      pixels_(input.count()),
      image_floats_(whole_lines(batch * input.count())),
      label_count_(whole_lines(batch)),
      images_(static_cast<std::size_t>(slots * image_floats_)),
      labels_(static_cast<std::size_t>(slots * label_count_)) {}

std::int64_t BatchSlots::held_bytes() const {
  return static_cast<std::int64_t>(images_.size() * sizeof(float) +
                                   labels_.size() * sizeof(std::int32_t));
}

BatchView BatchSlots::view(std::int64_t slot, int count) {
  return {count,
          {images(slot), static_cast<std::size_t>(count * pixels_)},
          {labels(slot), static_cast<std::size_t>(count)}};
}

double BatchSlots::bytes(std::int64_t slots, std::int64_t batch, const Shape& input) {
  const double values = static_cast<double>(batch) * static_cast<double>(input.channels) *
                        static_cast<double>(input.height) * static_cast<double>(input.width);
  // Beyond 2⁵³ values nobody misses the rounding to lines.
  const double image_floats =
      values < 0x1p53 ? static_cast<double>(whole_lines(static_cast<std::int64_t>(values))) : values;
  return 4 * static_cast<double>(slots) * (image_floats + static_cast<double>(whole_lines(batch)));
}

std::int64_t BatchQueue::slots(const LoaderOptions& options) {
  return std::int64_t{options.workers} * options.depth + 1;
}

BatchQueue::BatchQueue(const LoaderOptions& options, Fill fill)
    : fill_(std::move(fill)),
      workers_(options.workers),
      slots_(slots(options), options.batch, options.input),
      states_(static_cast<std::size_t>(slots_.count())) {}

BatchQueue::~BatchQueue() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  work_.notify_all();
}

void BatchQueue::start(std::int64_t batches, const std::function<void()>& prepare) {
  std::unique_lock lock(mutex_);
  batches_ = 0;  // nobody takes another one
  ready_.wait(lock, [&] { return filling_ == 0; });
  for (Slot& slot : states_) slot = {};
  next_fill_ = next_out_ = released_ = 0;
  prepare();
  try {
    while (static_cast<int>(threads_.size()) < workers_) threads_.emplace_back([this] { produce(); });
  } catch (const std::system_error& e) {
    throw Error(ExitCode::case_failed,
                fmt::format("can't start {} data workers, only {}", workers_, threads_.size()), e.what(),
                "ask for fewer workers, or see ulimit -u");
  }
  batches_ = batches;
  work_.notify_all();
}

void BatchQueue::produce() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stop_ || may_fill(); });
    if (stop_) return;
    const std::int64_t number = next_fill_++, slot = number % slots_.count();
    Slot state{true, 0, nullptr};
    ++filling_;
    lock.unlock();
    try {
      state.count = fill_(number, slots_.images(slot), slots_.labels(slot));
    } catch (...) {
      state.error = std::current_exception();
    }
    lock.lock();
    --filling_;
    states_[static_cast<std::size_t>(slot)] = state;
    ready_.notify_all();
  }
}

BatchView BatchQueue::next_built_here() {
  if (next_out_ == batches_) return {};
  const std::int64_t start = now_ns();
  const int count = fill_(next_out_, slots_.images(0), slots_.labels(0));
  stall_s_ += static_cast<double>(now_ns() - start) * 1e-9;
  ++next_out_;
  return slots_.view(0, count);
}

BatchView BatchQueue::next() {
  if (workers_ == 0) return next_built_here();
  std::unique_lock lock(mutex_);
  if (released_ != next_out_) {  // the batch handed out last comes back
    states_[static_cast<std::size_t>(released_ % slots_.count())] = {};
    released_ = next_out_;
  }
  if (next_out_ == batches_) return {};
  const std::int64_t index = next_out_ % slots_.count();
  Slot& slot = states_[static_cast<std::size_t>(index)];
  if (!slot.ready) {
    const std::int64_t start = now_ns();
    ready_.wait(lock, [&] { return slot.ready; });
    stall_s_ += static_cast<double>(now_ns() - start) * 1e-9;
  }
  if (slot.error) std::rethrow_exception(slot.error);
  ++next_out_;
  work_.notify_one();
  return slots_.view(index, slot.count);
}

double BatchQueue::take_stall_s() {
  const std::lock_guard lock(mutex_);
  return std::exchange(stall_s_, 0);
}

}  // namespace dlscale::nn
