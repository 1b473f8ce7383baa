// SPDX-License-Identifier: BSD-3-Clause
/// Random data, bf16 rounding and convolutions in float32 as a simple library would do them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "device/random.hpp"
#include "nn/reference/reference.hpp"

namespace dlscale::nn::tools {

using Floats = std::vector<float>;

inline float to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + ((bits >> 16) & 1U)) & 0xffff0000U);
}

inline Floats random_floats(std::int64_t count, std::uint64_t stream, bool bf16 = false) {
  Floats values(count);
  fill_uniform<float>(values, 7, stream);
  if (bf16)
    for (float& v : values) v = to_bf16(v);
  return values;
}

inline Values random_values(std::int64_t count, std::uint64_t stream) {
  Values values(count);
  fill_uniform<double>(values, 7, stream);
  return values;
}

inline double sigma(std::span<const float> values) {
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

inline void round_to_bf16(Floats& values) {
  for (float& v : values) v = to_bf16(v);
}

inline Shape output_of(const ConvProblem& p) {
  return {p.filters, p.window.out_height(p.in.height), p.window.out_width(p.in.width)};
}

/// Calls each(weight index, x index, y index, count) for the rows of every tap of image n and output
/// channel o, in the order of the sums of the definition; x advances by the stride.
template <class Each>
void for_rows(const ConvProblem& p, std::int64_t n, std::int64_t o, Each each) {
  const Shape out = output_of(p);
  const Window& w = p.window;
  const std::int64_t in_group = p.in.channels / p.groups, group = o / (p.filters / p.groups);
  for (std::int64_t c = 0; c < in_group; ++c)
    for (std::int64_t kh = 0; kh < w.kernel_h; ++kh)
      for (std::int64_t kw = 0; kw < w.kernel_w; ++kw) {
        const std::int64_t weight = ((o * in_group + c) * w.kernel_h + kh) * w.kernel_w + kw;
        std::int64_t first = 0, last = out.width;
        while (first < last && first * w.stride_w + kw < w.pad_left) ++first;
        while (first < last && (last - 1) * w.stride_w + kw - w.pad_left >= p.in.width) --last;
        for (std::int64_t i = 0; i < out.height; ++i) {
          const std::int64_t h = i * w.stride_h + kh - w.pad_top;
          if (h < 0 || h >= p.in.height || first == last) continue;
          const std::int64_t x =
              ((n * p.in.channels + group * in_group + c) * p.in.height + h) * p.in.width;
          const std::int64_t y = ((n * out.channels + o) * out.height + i) * out.width;
          each(weight, x + first * w.stride_w + kw - w.pad_left, y + first, last - first);
        }
      }
}

inline Floats float_forward(const ConvProblem& p, const Floats& x, const Floats& w) {
  Floats y(p.batch * output_of(p).count());
  const std::int64_t stride = p.window.stride_w;
  for (std::int64_t n = 0; n < p.batch; ++n)
    for (std::int64_t o = 0; o < p.filters; ++o)
      for_rows(p, n, o, [&](auto wi, auto xi, auto yi, auto count) {
        const float weight = w[wi], *from = x.data() + xi;
        float* to = y.data() + yi;
        if (stride == 1)
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
        else
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i * stride];
      });
  return y;
}

inline Floats float_data(const ConvProblem& p, const Floats& dy, const Floats& w) {
  Floats dx(p.batch * p.in.count());
  const std::int64_t stride = p.window.stride_w;
  for (std::int64_t n = 0; n < p.batch; ++n)
    for (std::int64_t o = 0; o < p.filters; ++o)
      for_rows(p, n, o, [&](auto wi, auto xi, auto yi, auto count) {
        const float weight = w[wi], *from = dy.data() + yi;
        float* to = dx.data() + xi;
        if (stride == 1)
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
        else
          for (std::int64_t i = 0; i < count; ++i) to[i * stride] += weight * from[i];
      });
  return dx;
}

inline Floats float_weights(const ConvProblem& p, const Floats& x, const Floats& dy) {
  Floats dw(p.filters * (p.in.channels / p.groups) * p.window.kernel_h * p.window.kernel_w);
  for (std::int64_t o = 0; o < p.filters; ++o)
    for (std::int64_t n = 0; n < p.batch; ++n)
      for_rows(p, n, o, [&](auto wi, auto xi, auto yi, auto count) {
        float sum = dw[wi];
        for (std::int64_t i = 0; i < count; ++i) sum += dy[yi + i] * x[xi + i * p.window.stride_w];
        dw[wi] = sum;
      });
  return dw;
}

}  // namespace dlscale::nn::tools
