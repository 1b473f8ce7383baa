// SPDX-License-Identifier: BSD-3-Clause
/// The one clock: monotonic, int64 nanoseconds, never corrected.
#pragma once

#include <time.h>

#include <cstdint>

namespace dlscale {

/// Nanoseconds of CLOCK_MONOTONIC. Comparable within one host only.
inline std::int64_t now_ns() noexcept {
  timespec t;
  // Can't fail for this clock and a valid pointer (clock_gettime(2)).
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

inline double seconds_since(std::int64_t start_ns) noexcept {
  return 1e-9 * static_cast<double>(now_ns() - start_ns);
}

/// What one reading costs and the smallest step it shows, measured on this host at start.
struct ClockFacts {
  double cost_s = 0;        ///< mean duration of one now_ns()
  double resolution_s = 0;  ///< smallest non-zero difference of two successive readings
};
ClockFacts measure_clock();

}  // namespace dlscale
