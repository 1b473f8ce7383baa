// SPDX-License-Identifier: BSD-3-Clause
/// Time inside the BLAS's matrix products, called by whatever library: the program defines dgemm_ and
/// sgemm_ itself and forwards them. Switched off, which is the usual state, a call costs one test of a
/// flag more.
#pragma once

#include <cstdint>
#include <string>

namespace dlscale {

/// What metered products of this thread took together, and the shape of the largest.
struct BlasTime {
  std::int64_t ns = 0;
  std::int64_t calls = 0;
  std::int64_t m = 0, n = 0, k = 0;
};

/// Meters products of the calling thread while it lives. An inner one leaves the switch as the outer one
/// set it.
class BlasMeter {
 public:
  BlasMeter() noexcept;
  ~BlasMeter();
  BlasMeter(const BlasMeter&) = delete;
  BlasMeter& operator=(const BlasMeter&) = delete;

  /// What the calling thread spent since its last take(), and starts again at zero.
  static BlasTime take() noexcept;

 private:
  bool was_on_;
};

/// File of the library that dgemm_ is forwarded to.
std::string forwarded_blas();

}  // namespace dlscale
