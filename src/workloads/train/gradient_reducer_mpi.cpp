// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/train/gradient_reducer_mpi.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace dlscale {
namespace {

constexpr std::int64_t most_values = std::int64_t{1} << 28;  // of one call, whose count is an int

struct Piece {
  float* values = nullptr;
  int count = 0;
};

std::vector<Piece> pieces_of(const nn::Bucket& bucket) {
  std::vector<Piece> pieces;
  for (std::int64_t at = 0; at < bucket.count; at += most_values)
    pieces.push_back(
        {bucket.gradients + at, static_cast<int>(std::min(most_values, bucket.count - at))});
  return pieces;
}

/// What all of them share: who takes part, what is where, and when it happened.
class MpiReducer : public nn::GradientReducer {
 public:
  MpiReducer(Communicator own, std::span<const nn::Bucket> buckets)
      : comm_(std::move(own)), times_(buckets.size()) {
    for (const nn::Bucket& bucket : buckets) pieces_.push_back(pieces_of(bucket));
  }
  int replicas() const override { return comm_.size(); }
  std::span<const nn::BucketTimes> times() const override { return times_; }

 protected:
  nn::BucketTimes& time(int bucket) { return times_.at(static_cast<std::size_t>(bucket)); }
  const std::vector<Piece>& pieces(int bucket) const {
    return pieces_.at(static_cast<std::size_t>(bucket));
  }
  void reduce(int bucket) {
    time(bucket).enter_ns = now_ns();
    for (const Piece& piece : pieces(bucket))
      DLSCALE_MPI(
          MPI_Allreduce(MPI_IN_PLACE, piece.values, piece.count, MPI_FLOAT, MPI_SUM, comm_.get()));
    time(bucket).done_ns = now_ns();
  }

  Communicator comm_;  ///< our own: messages of others can't be mixed with these

 private:
  std::vector<std::vector<Piece>> pieces_;  ///< [bucket]
  std::vector<nn::BucketTimes> times_;
};

class AfterBackward final : public MpiReducer {
 public:
  using MpiReducer::MpiReducer;
  void start(int bucket) override {
    time(bucket) = {.ready_ns = now_ns()};
    started_.push_back(bucket);
  }
  void finish() override {
    for (const int bucket : started_) reduce(bucket);
    started_.clear();
  }

 private:
  std::vector<int> started_;
};

class BetweenLayers final : public MpiReducer {
 public:
  using MpiReducer::MpiReducer;
  void start(int bucket) override {
    const std::int64_t now = now_ns();
    time(bucket) = {.ready_ns = now, .enter_ns = now};
    for (const Piece& piece : pieces(bucket)) {
      requests_.push_back(MPI_REQUEST_NULL);
      buckets_.push_back(bucket);
      DLSCALE_MPI(MPI_Iallreduce(MPI_IN_PLACE, piece.values, piece.count, MPI_FLOAT, MPI_SUM,
                                 comm_.get(), &requests_.back()));
    }
  }
  void progress() override {
    if (requests_.empty()) return;
    int completed = 0;
    done_.resize(requests_.size());
    DLSCALE_MPI(MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &completed,
                             done_.data(), MPI_STATUSES_IGNORE));
    note(completed);
  }
  void finish() override {
    done_.resize(requests_.size());
    for (int completed = 0; !requests_.empty();) {
      DLSCALE_MPI(MPI_Waitsome(static_cast<int>(requests_.size()), requests_.data(), &completed,
                               done_.data(), MPI_STATUSES_IGNORE));
      if (completed == MPI_UNDEFINED) break;
      note(completed);
    }
    requests_.clear();
    buckets_.clear();
  }

 private:
  void note(int completed) {
    if (completed == MPI_UNDEFINED || completed == 0) return;
    const std::int64_t now = now_ns();
    for (int i = 0; i < completed; ++i)
      time(buckets_[static_cast<std::size_t>(done_[static_cast<std::size_t>(i)])]).done_ns = now;
  }

  std::vector<MPI_Request> requests_;
  std::vector<int> buckets_;  ///< [request]
  std::vector<int> done_;     ///< indices of requests
};

class OwnThread final : public MpiReducer {
 public:
  OwnThread(Communicator own, std::span<const nn::Bucket> buckets)
      : MpiReducer(std::move(own), buckets), thread_([this] { serve(); }) {}
  ~OwnThread() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_one();
  }
  void start(int bucket) override {
    {
      const std::lock_guard lock(mutex_);
      time(bucket) = {.ready_ns = now_ns()};
      started_.push_back(bucket);
    }
    work_.notify_one();
  }
  void finish() override {
    std::unique_lock lock(mutex_);
    all_done_.wait(lock, [&] { return done_ == started_.size(); });
    started_.clear();
    done_ = 0;
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [&] { return stop_ || done_ < started_.size(); });
      if (stop_) return;
      const int bucket = started_[done_];
      std::exception_ptr error;
      lock.unlock();
      try {
        reduce(bucket);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error) error_ = error;
      if (++done_ == started_.size()) all_done_.notify_one();
    }
  }

  std::mutex mutex_;  // guards all below, and the times of a bucket between start() and its reduction
  std::condition_variable work_, all_done_;
  std::vector<int> started_;
  std::size_t done_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::jthread thread_;  // last: joined before anything else goes
};

}  // namespace

Overlap overlap_of(std::string_view text) {
  if (text == "test") return Overlap::test;
  return text == "thread" ? Overlap::thread : Overlap::none;
}

bool mpi_thread_multiple() {
  int initialized = 0, level = MPI_THREAD_SINGLE;
  DLSCALE_MPI(MPI_Initialized(&initialized));
  if (initialized == 0) return false;
  DLSCALE_MPI(MPI_Query_thread(&level));
  return level >= MPI_THREAD_MULTIPLE;
}

std::unique_ptr<nn::GradientReducer> make_mpi_reducer(Communicator own,
                                                      std::span<const nn::Bucket> buckets,
                                                      Overlap overlap) {
  if (overlap == Overlap::none) return std::make_unique<AfterBackward>(std::move(own), buckets);
  if (overlap == Overlap::test) return std::make_unique<BetweenLayers>(std::move(own), buckets);
  if (!mpi_thread_multiple())
    throw Error(ExitCode::case_failed, "overlap = thread can't be used on this rank",
                "its MPI was not started with MPI_THREAD_MULTIPLE", "use overlap = test");
  return std::make_unique<OwnThread>(std::move(own), buckets);
}

}  // namespace dlscale
