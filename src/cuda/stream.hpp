// SPDX-License-Identifier: BSD-3-Clause
/// Owners of streams and events.
#pragma once

#include "base/handle.hpp"
#include "cuda/check.hpp"

namespace dlscale::cuda {

struct StreamTraits {
  static cudaStream_t null() { return nullptr; }
  static void close(cudaStream_t stream) noexcept { cudaStreamDestroy(stream); }
};
struct EventTraits {
  static cudaEvent_t null() { return nullptr; }
  static void close(cudaEvent_t event) noexcept { cudaEventDestroy(event); }
};

enum class Priority {
  usual,
  first  ///< its kernels get the next free multiprocessors before those of other streams
};

/// A stream that does not wait for the default one.
class Stream {
 public:
  explicit Stream(Priority priority = Priority::usual) {
    int least = 0, greatest = 0;
    DLSCALE_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    cudaStream_t stream = nullptr;
    DLSCALE_CUDA(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                              priority == Priority::first ? greatest : least));
    handle_ = Handle<StreamTraits>(stream);
  }
  cudaStream_t get() const noexcept { return handle_.get(); }
  void wait() const { DLSCALE_CUDA(cudaStreamSynchronize(get())); }

 private:
  Handle<StreamTraits> handle_;
};

class Event {
 public:
  /// `timed`: elapsed_s() can be asked; others are cheaper.
  explicit Event(bool timed = false) {
    cudaEvent_t event = nullptr;
    DLSCALE_CUDA(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming));
    handle_ = Handle<EventTraits>(event);
  }
  cudaEvent_t get() const noexcept { return handle_.get(); }
  void record(const Stream& stream) const { DLSCALE_CUDA(cudaEventRecord(get(), stream.get())); }
  void wait() const { DLSCALE_CUDA(cudaEventSynchronize(get())); }
  /// What is put into `stream` later waits for what was recorded.
  void hold(const Stream& stream) const { DLSCALE_CUDA(cudaStreamWaitEvent(stream.get(), get(), 0)); }

 private:
  Handle<EventTraits> handle_;
};

/// Seconds on the device between two timed events that have passed.
inline double elapsed_s(const Event& begin, const Event& end) {
  float milliseconds = 0;
  DLSCALE_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return 1e-3 * static_cast<double>(milliseconds);
}

}  // namespace dlscale::cuda
