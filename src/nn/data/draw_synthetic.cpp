// SPDX-License-Identifier: BSD-3-Clause
// One image of the synthetic set. Only +, −, ×, ÷ and square roots of floats: every machine that rounds
// as IEEE 754 says, and does not fuse multiply-adds, draws the same pixels.
#include <algorithm>
#include <array>

#include "device/random.hpp"
#include "nn/data/canvas.hpp"
#include "nn/data/synthetic.hpp"

namespace dlscale::nn {
namespace {

/// The image's own sequence of random numbers.
class Dice {
 public:
  Dice(std::uint64_t seed, Split split, std::int64_t index)
      : key_(mix64(stream_key(seed, 0x5d1a7ULL + static_cast<std::uint64_t>(split)) +
                   static_cast<std::uint64_t>(index) * 0xd1342543de82ef95ULL)) {}

  std::uint64_t bits() { return mix64(key_ + 0x9e3779b97f4a7c15ULL * ++drawn_); }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(((bits() >> 32) * n) >> 32); }
  float between(float low, float high) {
    return low + (high - low) * (static_cast<float>(bits() >> 40) * 0x1p-24F);
  }

 private:
  std::uint64_t key_, drawn_ = 0;
};

/// From the glyph's box to pixels.
struct Placement {
  float xx, xy, yx, yy, x, y;

  explicit Placement(Dice& dice) {
    const float t = dice.between(-0.17F, 0.17F);  // tan of half the angle: about ±19°
    const float c = (1 - t * t) / (1 + t * t), s = 2 * t / (1 + t * t);
    const float height = dice.between(7.F, 9.5F), width = height * dice.between(0.8F, 1.2F);
    const float shear = dice.between(-0.3F, 0.3F);
    xx = c * width;
    xy = c * shear * height - s * height;
    yx = s * width;
    yy = s * shear * height + c * height;
    x = 13.5F + dice.between(-3.F, 3.F);
    y = 13.5F + dice.between(-3.F, 3.F);
  }
  Point operator()(Point p) const { return {xx * p.x + xy * p.y + x, yx * p.x + yy * p.y + y}; }
};

/// The points of one stroke while it is bent, rounded and placed.
class Path {
 public:
  void add(Point p) { points_[count_++] = p; }
  std::span<const Point> points() const { return {points_.data(), count_}; }

  /// Chaikin's corner cutting: every side gives way to its middle half; an open line keeps its ends.
  Path smoothed(bool closed) const {
    Path out;
    if (!closed) out.add(points_[0]);
    for (std::size_t i = 0; i + 1 < count_; ++i) {
      const Point a = points_[i], b = points_[i + 1];
      out.add({0.75F * a.x + 0.25F * b.x, 0.75F * a.y + 0.25F * b.y});
      out.add({0.25F * a.x + 0.75F * b.x, 0.25F * a.y + 0.75F * b.y});
    }
    out.add(closed ? out.points_[0] : points_[count_ - 1]);
    return out;
  }

 private:
  // Two rounds of smoothing: n points become at most 4 n + 6.
  std::array<Point, 4 * (max_stroke_points + 1) + 6> points_;
  std::size_t count_ = 0;
};

void draw_glyph(Canvas& canvas, Dice& dice, int label) {
  constexpr float bend = 0.1F;
  const std::uint32_t style = dice.below(glyph_styles(label));
  const Placement place(dice);
  for (const Stroke& stroke : glyph_strokes(label, style)) {
    Path path;
    for (const Point p : stroke.points)
      path.add(place({p.x + dice.between(-bend, bend), p.y + dice.between(-bend, bend)}));
    if (stroke.closed) path.add(path.points()[0]);
    if (stroke.smooth) path = path.smoothed(stroke.closed).smoothed(stroke.closed);
    canvas.trace(path.points());
  }
  const float half_width = dice.between(0.5F, 1.5F);
  canvas.blend(half_width, dice.between(0.5F, 1.F));
}

/// Short lines anywhere: over the glyph or beside it, brighter or erasing.
void draw_clutter(Canvas& canvas, Dice& dice, std::uint32_t lines, bool erase) {
  for (std::uint32_t i = 0; i < lines; ++i) {
    const Point a{dice.between(0, 27), dice.between(0, 27)};
    const Point b{a.x + dice.between(-7, 7), a.y + dice.between(-7, 7)};
    canvas.trace(std::array{a, b});
    const float half_width = dice.between(0.4F, 1.2F);
    canvas.blend(half_width, erase ? 1.F : dice.between(0.3F, 0.9F), erase);
  }
}

void write_pixels(const Canvas& canvas, Dice& dice, std::uint8_t* out) {
  const float noise = dice.between(0.05F, 0.3F) * (1.F / 255.F);
  const auto& pixels = canvas.pixels();
  static_assert(Canvas::Pixels{}.size() % 4 == 0);
  for (std::size_t i = 0; i < pixels.size(); i += 4) {
    std::uint64_t bits = dice.bits();
    for (std::size_t j = i; j < i + 4; ++j, bits >>= 16) {
      // The sum of two bytes: a triangular distribution.
      const auto sum =
          static_cast<float>(static_cast<int>(bits & 255) + static_cast<int>(bits >> 8 & 255));
      const float value = std::clamp(pixels[j] + noise * (sum - 255.F), 0.F, 1.F);
      out[j] = static_cast<std::uint8_t>(value * 255.F + 0.5F);
    }
  }
}

}  // namespace

std::uint8_t draw_synthetic(std::uint64_t seed, Split split, std::int64_t index, std::uint8_t* pixels) {
  Dice dice(seed, split, index);
  const auto label = static_cast<std::uint8_t>(dice.below(10));
  Canvas canvas;
  draw_glyph(canvas, dice, label);
  draw_clutter(canvas, dice, dice.below(3), true);
  draw_clutter(canvas, dice, dice.below(4), false);
  write_pixels(canvas, dice, pixels);
  return label;
}

}  // namespace dlscale::nn
