// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nccl_reducer.hpp"

#include <vector>

#include "base/clock.hpp"
#include "cuda/nccl.hpp"

namespace dlscale::cuda {
namespace {

class NcclReducer final : public nn::GradientReducer {
 public:
  NcclReducer(const Communicator& comm, dnn::GpuExecutor& executor, bool overlap)
      : nccl_(shared_nccl(comm)),
        executor_(executor),
        overlap_(overlap),
        events_(executor.device_buckets().size()),
        times_(events_.size()) {}

  int replicas() const override { return nccl_->size(); }

  void start(int bucket) override {
    events(bucket).ready.record(executor_.stream());
    started_.push_back(bucket);
    if (overlap_) reduce(bucket);
  }

  void finish() override {
    if (started_.empty()) return;
    if (!overlap_)
      for (const int bucket : started_) reduce(bucket);
    nccl_->wait();
    note_times();
    executor_.gradients_changed();
    started_.clear();
  }

  std::span<const nn::BucketTimes> times() const override { return times_; }

 private:
  struct Events {
    Event ready{true}, enter{true}, done{true};
  };
  Events& events(int bucket) { return events_.at(static_cast<std::size_t>(bucket)); }

  // Behind the kernels that complete the bucket, in NCCL's own stream.
  void reduce(int bucket) {
    const nn::Bucket& b = executor_.device_buckets().at(static_cast<std::size_t>(bucket));
    const Events& e = events(bucket);
    e.ready.hold(nccl_->stream());
    e.enter.record(nccl_->stream());
    DLSCALE_CUDA(ncclAllReduce(b.gradients, b.gradients, static_cast<std::size_t>(b.count), ncclFloat32,
                               ncclSum, nccl_->get(), nccl_->stream().get()));
    e.done.record(nccl_->stream());
  }

  // The last sum was done just now.
  void note_times() {
    const std::int64_t now = now_ns();
    const Event& last = events(started_.back()).done;
    const auto on_host = [&](const Event& event) {
      return now - static_cast<std::int64_t>(1e9 * elapsed_s(event, last));
    };
    for (const int bucket : started_) {
      const Events& e = events(bucket);
      times_[static_cast<std::size_t>(bucket)] = {
          .ready_ns = on_host(e.ready), .enter_ns = on_host(e.enter), .done_ns = on_host(e.done)};
    }
  }

  std::shared_ptr<NcclCommunicator> nccl_;
  dnn::GpuExecutor& executor_;
  bool overlap_;
  std::vector<Events> events_;  ///< [bucket]
  std::vector<nn::BucketTimes> times_;
  std::vector<int> started_;  ///< since the last finish(), in order
};

}  // namespace

std::unique_ptr<nn::GradientReducer> make_nccl_reducer(const Communicator& comm,
                                                       dnn::GpuExecutor& executor, bool overlap) {
  return std::make_unique<NcclReducer>(comm, executor, overlap);
}

}  // namespace dlscale::cuda
