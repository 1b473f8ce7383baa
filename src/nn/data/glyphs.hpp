// SPDX-License-Identifier: BSD-3-Clause
/// Strokes of the ten glyphs of the synthetic set: the digits, several ways to write each.
#pragma once

#include <cstdint>
#include <span>

namespace dlscale::nn {

/// In a glyph x is in [−0.7, 0.7], y in [−1.05, 1.05], downwards.
struct Point {
  float x = 0, y = 0;
};

/// A line through its points; `smooth` ones have their corners cut, `closed` ones return to the start.
struct Stroke {
  std::span<const Point> points;
  bool smooth = false, closed = false;
};

/// Number of ways in which `label` (0 … 9) is written.
std::uint32_t glyph_styles(int label);
std::span<const Stroke> glyph_strokes(int label, std::uint32_t style);

/// Points of the longest stroke: a bound for whoever copies them.
inline constexpr std::size_t max_stroke_points = 9;

}  // namespace dlscale::nn
