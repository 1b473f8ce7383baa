// SPDX-License-Identifier: BSD-3-Clause
/// A strided convolution as sums of shifted flat arrays: images are padded to a common grid of rows ×
/// cols positions, one plane per phase (pixel row modulo stride, pixel column modulo stride). A tap is
/// then one plane read at a fixed distance, over all images in one loop; sums at positions right of or
/// below the output are garbage that nobody reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/reference/reference.hpp"

namespace dlscale::nn {

/// One tap: its place in the kernel, and where its plane starts relative to the channel's planes.
struct GridTap {
  std::int64_t index = 0, offset = 0;
};

/// A position of the grid and the value of the tensor it stands for, within a channel: n · channels ·
/// height · width + h · width + w.
struct GridPixel {
  std::int64_t position = 0, value = 0;
};

struct ConvGrid {
  explicit ConvGrid(const ConvProblem& problem);

  const ConvProblem& problem;
  Shape out;
  std::int64_t taps, rows, cols, phases;
  std::int64_t margin;        ///< largest distance of a tap
  std::int64_t block_images;  ///< processed at a time
  std::int64_t group_in, group_out;

  std::int64_t length(std::int64_t images) const { return images * rows * cols; }
  std::int64_t phase(std::int64_t tap) const;
  std::int64_t distance(std::int64_t tap) const;

  /// Taps on planes made by input_planes(), and for the backward pass those of one phase on planes made
  /// by output_planes().
  std::vector<GridTap> forward_taps(std::int64_t images) const;
  std::vector<GridTap> backward_taps(std::int64_t of_phase) const;

  /// Pixels of `images` images from `first` on that lie on the grid; of the input by phase.
  std::vector<GridPixel> output_pixels(std::int64_t first, std::int64_t images) const;
  std::vector<GridPixel> input_pixels(std::int64_t of_phase, std::int64_t first,
                                      std::int64_t images) const;
  /// Pixels of the input, likewise, that no tap ever reads.
  std::vector<std::int64_t> unread_pixels(std::int64_t first, std::int64_t images) const;

  /// [channel][phase][length + margin], zero at padding and in the margin behind.
  std::vector<double> input_planes(std::span<const float> x, std::int64_t first,
                                   std::int64_t images) const;
  /// [channel][margin + length], zero at garbage and in the margin in front.
  std::vector<double> output_planes(std::span<const float> y, std::int64_t first,
                                    std::int64_t images) const;
};

/// sums[i] += Σ over channels and taps of weights[channel · taps + tap] · plane(channel)[tap.offset +
/// i], or of weight · value².
void add_shifted(const double* planes, std::int64_t plane_size, std::int64_t channels,
                 std::span<const GridTap> taps, std::int64_t weights_per_channel, const double* weights,
                 bool square, std::span<double> sums);

}  // namespace dlscale::nn
