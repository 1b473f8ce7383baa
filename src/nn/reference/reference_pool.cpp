// SPDX-License-Identifier: BSD-3-Clause
// Pools and the layers that only move values: concat, zero_pad.
#include <algorithm>
#include <limits>

#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

/// Calls each(output index, {first row, last row, first column, last column} of the window inside the
/// image, index of the plane's first pixel) for every output value.
struct Patch {
  std::int64_t top, bottom, left, right;
  std::int64_t count() const { return (bottom - top) * (right - left); }
};
template <class Each>
void for_patches(const ReferenceLayer& l, Each each) {
  const Shape &in = l.layer.in, &out = l.layer.out;
  const Window& w = l.layer.window;
#pragma omp parallel for if (worth_threads(l.batch * in.count()))
  for (std::int64_t plane = 0; plane < l.batch * in.channels; ++plane)
    for (std::int64_t h = 0; h < out.height; ++h)
      for (std::int64_t v = 0; v < out.width; ++v) {
        const std::int64_t top = h * w.stride_h - w.pad_top, left = v * w.stride_w - w.pad_left;
        const Patch patch{std::max<std::int64_t>(top, 0), std::min(top + w.kernel_h, in.height),
                          std::max<std::int64_t>(left, 0), std::min(left + w.kernel_w, in.width)};
        each((plane * out.height + h) * out.width + v, patch, plane * in.height * in.width);
      }
}

/// Index of the first maximum in row-major order; −1 where the window sees padding alone.
std::int64_t first_maximum(const ReferenceLayer& l, const Patch& patch, std::int64_t plane) {
  const Values& x = l.inputs[0];
  std::int64_t best = -1;
  for (std::int64_t h = patch.top; h < patch.bottom; ++h)
    for (std::int64_t w = patch.left; w < patch.right; ++w) {
      const std::int64_t i = plane + h * l.layer.in.width + w;
      // NaN wins, as in PyTorch.
      if (best < 0 || x[i] > x[best] || (x[i] != x[i] && x[best] == x[best])) best = i;
    }
  return best;
}

double divisor(const ReferenceLayer& l, const Patch& patch) {
  const Window& w = l.layer.window;
  return static_cast<double>(l.layer.include_padding ? w.kernel_h * w.kernel_w
                                                     : std::max<std::int64_t>(patch.count(), 1));
}

}  // namespace

Values max_pool_forward(const ReferenceLayer& l) {
  Values y(l.batch * l.layer.out.count());
  for_patches(l, [&](std::int64_t o, const Patch& patch, std::int64_t plane) {
    const std::int64_t best = first_maximum(l, patch, plane);
    y[o] = best < 0 ? -std::numeric_limits<double>::infinity() : l.inputs[0][best];
  });
  return y;
}

void max_pool_backward(ReferenceLayer& l, const Values& dy) {
  for_patches(l, [&](std::int64_t o, const Patch& patch, std::int64_t plane) {
    const std::int64_t best = first_maximum(l, patch, plane);
    if (best >= 0) l.input_gradients[0][best] += dy[o];
  });
}

Values avg_pool_forward(const ReferenceLayer& l) {
  Values y(l.batch * l.layer.out.count());
  for_patches(l, [&](std::int64_t o, const Patch& patch, std::int64_t plane) {
    double sum = 0;
    for (std::int64_t h = patch.top; h < patch.bottom; ++h)
      for (std::int64_t w = patch.left; w < patch.right; ++w)
        sum += l.inputs[0][plane + h * l.layer.in.width + w];
    y[o] = sum / divisor(l, patch);
  });
  return y;
}

void avg_pool_backward(ReferenceLayer& l, const Values& dy) {
  for_patches(l, [&](std::int64_t o, const Patch& patch, std::int64_t plane) {
    const double share = dy[o] / divisor(l, patch);
    for (std::int64_t h = patch.top; h < patch.bottom; ++h)
      for (std::int64_t w = patch.left; w < patch.right; ++w)
        l.input_gradients[0][plane + h * l.layer.in.width + w] += share;
  });
}

Values concat_forward(const ReferenceLayer& l) {
  Values y;
  y.reserve(l.batch * l.layer.out.count());
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (const Values& x : l.inputs) {
      const std::int64_t image = static_cast<std::int64_t>(x.size()) / l.batch;
      y.insert(y.end(), x.begin() + n * image, x.begin() + (n + 1) * image);
    }
  return y;
}

void concat_backward(ReferenceLayer& l, const Values& dy) {
  auto from = dy.begin();
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (Values& dx : l.input_gradients) {
      const std::int64_t image = static_cast<std::int64_t>(dx.size()) / l.batch;
      std::copy(from, from + image, dx.begin() + n * image);
      from += image;
    }
}

Values zero_pad_forward(const ReferenceLayer& l) {
  const Shape &in = l.layer.in, &out = l.layer.out;
  Values y(l.batch * out.count(), 0.0);
  for (std::int64_t plane = 0; plane < l.batch * in.channels; ++plane)
    for (std::int64_t h = 0; h < in.height; ++h)
      std::copy_n(l.inputs[0].begin() + (plane * in.height + h) * in.width, in.width,
                  y.begin() + (plane * out.height + h + l.layer.window.pad_top) * out.width +
                      l.layer.window.pad_left);
  return y;
}

void zero_pad_backward(ReferenceLayer& l, const Values& dy) {
  const Shape &in = l.layer.in, &out = l.layer.out;
  for (std::int64_t plane = 0; plane < l.batch * in.channels; ++plane)
    for (std::int64_t h = 0; h < in.height; ++h)
      std::copy_n(dy.begin() + (plane * out.height + h + l.layer.window.pad_top) * out.width +
                      l.layer.window.pad_left,
                  in.width, l.input_gradients[0].begin() + (plane * in.height + h) * in.width);
}

}  // namespace dlscale::nn
