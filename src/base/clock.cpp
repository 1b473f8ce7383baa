// SPDX-License-Identifier: BSD-3-Clause
#include "base/clock.hpp"

#include <algorithm>
#include <limits>

namespace dlscale {

ClockFacts measure_clock() {
  constexpr int readings = 20000;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  const std::int64_t start = now_ns();
  std::int64_t last = start;
  for (int i = 0; i < readings; ++i) {
    const std::int64_t now = now_ns();
    if (now > last) smallest = std::min(smallest, now - last);
    last = now;
  }
  return {1e-9 * static_cast<double>(last - start) / readings, 1e-9 * static_cast<double>(smallest)};
}

}  // namespace dlscale
