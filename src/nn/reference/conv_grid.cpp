// SPDX-License-Identifier: BSD-3-Clause
#include "nn/reference/conv_grid.hpp"

#include <algorithm>

#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {

ConvGrid::ConvGrid(const ConvProblem& p)
    : problem(p),
      out{p.filters, p.window.out_height(p.in.height), p.window.out_width(p.in.width)},
      taps(p.window.kernel_h * p.window.kernel_w),
      rows(out.height + (p.window.kernel_h - 1) / p.window.stride_h),
      cols(out.width + (p.window.kernel_w - 1) / p.window.stride_w),
      phases(p.window.stride_h * p.window.stride_w),
      margin((rows - out.height) * cols + cols - out.width),
      group_in(p.in.channels / p.groups),
      group_out(p.filters / p.groups) {
  // Long loops, but planes of at most 64 MiB where an image allows.
  const std::int64_t per_image = rows * cols;
  const std::int64_t planes = p.in.channels * phases + 3 * p.filters;
  block_images = std::clamp<std::int64_t>(
      std::min(32768 / per_image, (std::int64_t{1} << 23) / (per_image * planes)), 1, p.batch);
}

std::int64_t ConvGrid::phase(std::int64_t tap) const {
  const Window& w = problem.window;
  return tap / w.kernel_w % w.stride_h * w.stride_w + tap % w.kernel_w % w.stride_w;
}

std::int64_t ConvGrid::distance(std::int64_t tap) const {
  const Window& w = problem.window;
  return tap / w.kernel_w / w.stride_h * cols + tap % w.kernel_w / w.stride_w;
}

std::vector<GridTap> ConvGrid::forward_taps(std::int64_t images) const {
  std::vector<GridTap> list;
  for (std::int64_t t = 0; t < taps; ++t)
    list.push_back({t, phase(t) * (length(images) + margin) + distance(t)});
  return list;
}

std::vector<GridTap> ConvGrid::backward_taps(std::int64_t of_phase) const {
  std::vector<GridTap> list;
  for (std::int64_t t = 0; t < taps; ++t)
    if (phase(t) == of_phase) list.push_back({t, margin - distance(t)});
  return list;
}

std::vector<GridPixel> ConvGrid::output_pixels(std::int64_t first, std::int64_t images) const {
  std::vector<GridPixel> list;
  list.reserve(images * out.height * out.width);
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t i = 0; i < out.height; ++i)
      for (std::int64_t j = 0; j < out.width; ++j)
        list.push_back({(n * rows + i) * cols + j, (first + n) * out.count() + i * out.width + j});
  return list;
}

std::vector<GridPixel> ConvGrid::input_pixels(std::int64_t of_phase, std::int64_t first,
                                              std::int64_t images) const {
  const Window& w = problem.window;
  const std::int64_t a = of_phase / w.stride_w, b = of_phase % w.stride_w;
  std::vector<GridPixel> list;
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t h = i * w.stride_h + a - w.pad_top;
      if (h < 0 || h >= problem.in.height) continue;
      for (std::int64_t j = 0; j < cols; ++j) {
        const std::int64_t v = j * w.stride_w + b - w.pad_left;
        if (v < 0 || v >= problem.in.width) continue;
        list.push_back(
            {(n * rows + i) * cols + j, (first + n) * problem.in.count() + h * problem.in.width + v});
      }
    }
  return list;
}

std::vector<std::int64_t> ConvGrid::unread_pixels(std::int64_t first, std::int64_t images) const {
  const Window& w = problem.window;
  std::vector<std::int64_t> list;
  for (std::int64_t h = 0; h < problem.in.height; ++h)
    for (std::int64_t v = 0; v < problem.in.width; ++v)
      if ((h + w.pad_top) / w.stride_h >= rows || (v + w.pad_left) / w.stride_w >= cols)
        for (std::int64_t n = first; n < first + images; ++n)
          list.push_back(n * problem.in.count() + h * problem.in.width + v);
  return list;
}

std::vector<double> ConvGrid::input_planes(std::span<const float> x, std::int64_t first,
                                           std::int64_t images) const {
  const std::int64_t size = length(images) + margin, channels = problem.in.channels;
  const std::int64_t pixels = problem.in.height * problem.in.width;
  std::vector<double> planes(channels * phases * size, 0.0);
  for (std::int64_t f = 0; f < phases; ++f) {
    const std::vector<GridPixel> list = input_pixels(f, first, images);
#pragma omp parallel for if (worth_threads(static_cast <std::int64_t>(planes.size())))
    for (std::int64_t c = 0; c < channels; ++c)
      for (const GridPixel& p : list)
        planes[(c * phases + f) * size + p.position] = static_cast<double>(x[c * pixels + p.value]);
  }
  return planes;
}

std::vector<double> ConvGrid::output_planes(std::span<const float> y, std::int64_t first,
                                            std::int64_t images) const {
  const std::int64_t size = margin + length(images), pixels = out.height * out.width;
  const std::vector<GridPixel> list = output_pixels(first, images);
  std::vector<double> planes(out.channels * size, 0.0);
#pragma omp parallel for if (worth_threads(static_cast <std::int64_t>(planes.size())))
  for (std::int64_t o = 0; o < out.channels; ++o)
    for (const GridPixel& p : list)
      planes[o * size + margin + p.position] = static_cast<double>(y[o * pixels + p.value]);
  return planes;
}

void add_shifted(const double* planes, std::int64_t plane_size, std::int64_t channels,
                 std::span<const GridTap> taps, std::int64_t weights_per_channel, const double* weights,
                 bool square, std::span<double> sums) {
  const auto length = static_cast<std::int64_t>(sums.size());
  double* to = sums.data();
  for (std::int64_t c = 0; c < channels; ++c)
    for (const GridTap& tap : taps) {
      const double weight = weights[c * weights_per_channel + tap.index];
      const double* from = planes + c * plane_size + tap.offset;
      if (square) {
        for (std::int64_t i = 0; i < length; ++i) to[i] += weight * (from[i] * from[i]);
      } else {
        for (std::int64_t i = 0; i < length; ++i) to[i] += weight * from[i];
      }
    }
}

}  // namespace dlscale::nn
