// SPDX-License-Identifier: BSD-3-Clause
/// Owners of memory on the device and of page-locked memory on the host.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "base/handle.hpp"
#include "base/text.hpp"
#include "cuda/stream.hpp"

namespace dlscale::cuda {

struct DeviceMemoryTraits {
  static void* null() { return nullptr; }
  static void close(void* p) noexcept { cudaFree(p); }
};
struct PinnedMemoryTraits {
  static void* null() { return nullptr; }
  static void close(void* p) noexcept { cudaFreeHost(p); }
};

/// `count` elements of `size` bytes; refused when the product overflows.
inline std::size_t bytes_for(std::size_t count, std::size_t size) {
  if (count > (std::numeric_limits<std::size_t>::max() >> 1) / size)
    throw Error(ExitCode::case_failed, "an array is larger than any memory", {},
                "choose a smaller case");
  return count * size;
}

/// Bytes on the device. Contents undefined. Without enough of it: Error(case_failed) with the numbers.
inline void* device_memory(std::size_t bytes) {
  void* p = nullptr;
  const cudaError_t code = cudaMalloc(&p, bytes == 0 ? 1 : bytes);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t left = 0, whole = 0;
    DLSCALE_CUDA(cudaMemGetInfo(&left, &whole));
    throw Error(ExitCode::case_failed,
                "can't allocate " + format_bytes(static_cast<double>(bytes)) + " on the GPU",
                format_bytes(static_cast<double>(left)) + " of " +
                    format_bytes(static_cast<double>(whole)) + " are free",
                "choose a smaller case");
  }
  check(code, "cudaMalloc");
  return p;
}

/// `count` elements on the device, aligned to 256 bytes.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t count)
      : memory_(device_memory(bytes_for(count, sizeof(T)))), count_(count) {}
  T* data() const noexcept { return static_cast<T*>(memory_.get()); }
  std::size_t size() const noexcept { return count_; }
  std::size_t bytes() const noexcept { return count_ * sizeof(T); }

  /// Asynchronous unless `from` is pageable memory, which the runtime copies first.
  void write(std::span<const T> from, const Stream& stream) {
    DLSCALE_CUDA(
        cudaMemcpyAsync(data(), from.data(), from.size_bytes(), cudaMemcpyHostToDevice, stream.get()));
  }
  /// All of it, after what was put into the stream before.
  std::vector<T> read(const Stream& stream) const {
    std::vector<T> values(count_);
    DLSCALE_CUDA(cudaMemcpyAsync(values.data(), data(), bytes(), cudaMemcpyDeviceToHost, stream.get()));
    stream.wait();
    return values;
  }
  void set_bytes(int byte, const Stream& stream) {
    DLSCALE_CUDA(cudaMemsetAsync(data(), byte, bytes(), stream.get()));
  }

 private:
  Handle<DeviceMemoryTraits> memory_;
  std::size_t count_ = 0;
};

/// `count` elements of host memory that the device copies from and to by itself.
template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t count) : count_(count) {
    void* p = nullptr;
    DLSCALE_CUDA(cudaMallocHost(&p, count == 0 ? 1 : bytes_for(count, sizeof(T))));
    memory_ = Handle<PinnedMemoryTraits>(p);
  }
  T* data() const noexcept { return static_cast<T*>(memory_.get()); }
  std::span<T> span() const noexcept { return {data(), count_}; }

 private:
  Handle<PinnedMemoryTraits> memory_;
  std::size_t count_ = 0;
};

}  // namespace dlscale::cuda
