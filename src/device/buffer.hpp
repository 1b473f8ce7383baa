// SPDX-License-Identifier: BSD-3-Clause
/// Host memory for operands: aligned, owned, refused with numbers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dlscale {

/// `count` elements aligned to 2 MiB when large (transparent huge pages), else to 64 bytes. Contents
/// undefined.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : count_(count) {
    if (count > (std::numeric_limits<std::size_t>::max() >> 1) / sizeof(T)) fail();
    const std::size_t bytes = count * sizeof(T);
    const std::size_t alignment = bytes >= (std::size_t{4} << 20) ? std::size_t{2} << 20 : 64;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<T*>(std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded)));
    if (!data_) fail();
  }

  T* data() noexcept { return data_.get(); }
  const T* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return count_; }
  std::span<T> span() noexcept { return {data_.get(), count_}; }
  std::span<const T> span() const noexcept { return {data_.get(), count_}; }

 private:
  [[noreturn]] void fail() const {
    throw Error(ExitCode::case_failed,
                "can't allocate " + format_bytes(static_cast<double>(count_) * sizeof(T)),
                "the system refused", "choose a smaller case or fewer ranks per node");
  }
  struct Free {
    void operator()(T* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<T[], Free> data_;
  std::size_t count_ = 0;
};

}  // namespace dlscale
