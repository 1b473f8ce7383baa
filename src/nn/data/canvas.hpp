// SPDX-License-Identifier: BSD-3-Clause
/// A small picture of anti-aliased lines, drawn through the distance of every pixel to the nearest line.
#pragma once

#include <array>
#include <span>

#include "nn/data/glyphs.hpp"

namespace dlscale::nn {

class Canvas {
 public:
  static constexpr int side = 28;
  using Pixels = std::array<float, static_cast<std::size_t>(side) * side>;

  /// Black.
  Canvas();
  /// Lines through `points` (pixels; the centre of pixel (0, 0) is at (0, 0)), part of the next blend().
  void trace(std::span<const Point> points);
  /// Paints what was traced: pixels become max(pixel, intensity × cover), or with `erase` they lose that
  /// part of their brightness. A line covers up to half_width (at most 2) from its middle, its edge
  /// being one pixel wide. Then nothing is traced.
  void blend(float half_width, float intensity, bool erase = false);

  const Pixels& pixels() const { return pixels_; }

 private:
  void clear();

  Pixels pixels_, distance2_;
};

}  // namespace dlscale::nn
