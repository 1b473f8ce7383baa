// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/canvas.hpp"

#include <algorithm>
#include <cmath>

namespace dlscale::nn {
namespace {

constexpr float reach = 2.5F;  // pixels further away than this are not covered by any line
constexpr float far2 = reach * reach;

struct Range {
  int first, last;  // inclusive; empty if last < first
};

Range touched(float a, float b) {
  const float low = std::clamp(std::min(a, b) - reach, 0.F, static_cast<float>(Canvas::side));
  const float high = std::clamp(std::max(a, b) + reach, -1.F, static_cast<float>(Canvas::side - 1));
  return {static_cast<int>(low), static_cast<int>(high)};
}

}  // namespace

Canvas::Canvas() {
  pixels_.fill(0);
  clear();
}

void Canvas::clear() {
  distance2_.fill(far2);
}

void Canvas::trace(std::span<const Point> points) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point a = points[i - 1], b = points[i];
    const float dx = b.x - a.x, dy = b.y - a.y;
    const float length2 = dx * dx + dy * dy;
    const float scale = length2 > 1e-12F ? 1.F / length2 : 0.F;
    const Range columns = touched(a.x, b.x), rows = touched(a.y, b.y);
    for (int y = rows.first; y <= rows.last; ++y) {
      const float py = static_cast<float>(y) - a.y;
      float* row = distance2_.data() + static_cast<std::ptrdiff_t>(y) * side;
      for (int x = columns.first; x <= columns.last; ++x) {
        const float px = static_cast<float>(x) - a.x;
        float t = (px * dx + py * dy) * scale;
        t = t < 0.F ? 0.F : t;
        t = t > 1.F ? 1.F : t;
        const float ex = px - t * dx, ey = py - t * dy;
        const float d2 = ex * ex + ey * ey;
        row[x] = d2 < row[x] ? d2 : row[x];
      }
    }
  }
}

void Canvas::blend(float half_width, float intensity, bool erase) {
  for (std::size_t i = 0; i < pixels_.size(); ++i) {
    if (distance2_[i] >= far2) continue;
    const float cover = std::clamp(half_width + 0.5F - std::sqrt(distance2_[i]), 0.F, 1.F) * intensity;
    pixels_[i] = erase ? pixels_[i] * (1.F - cover) : std::max(pixels_[i], cover);
  }
  clear();
}

}  // namespace dlscale::nn
