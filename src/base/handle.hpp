// SPDX-License-Identifier: BSD-3-Clause
/// An owner for any C handle that is a plain value (MPI_Comm, hid_t, file descriptor, dlopen's pointer).
#pragma once

#include <utility>

namespace dlscale {

/// Owns one handle. `Traits::null()` is the empty value, `Traits::close(h)` releases it and never
/// throws.
template <class Traits>
class Handle {
 public:
  using value_type = decltype(Traits::null());

  Handle() = default;
  explicit Handle(value_type value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, Traits::null())) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      value_ = std::exchange(other.value_, Traits::null());
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  value_type get() const noexcept { return value_; }
  explicit operator bool() const noexcept { return value_ != Traits::null(); }
  value_type release() noexcept { return std::exchange(value_, Traits::null()); }
  void reset() noexcept {
    if (value_ != Traits::null()) Traits::close(std::exchange(value_, Traits::null()));
  }

 private:
  value_type value_ = Traits::null();
};

}  // namespace dlscale
