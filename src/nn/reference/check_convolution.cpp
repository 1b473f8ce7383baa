// SPDX-License-Identifier: BSD-3-Clause
// A convolution of all channels is compared with one of a few random combinations of them. The weights
// of a combination are ± [1, 2): every element counts at least once, and channels that are swapped are
// seen, which ±1 would miss half of the time.
#include <algorithm>

#include "base/error.hpp"
#include "nn/reference/check_parts.hpp"
#include "nn/reference/combinations.hpp"

namespace dlscale::nn {
namespace {

constexpr std::int64_t tile = 2048;  // of positions: sums stay in the first-level cache

/// Largest square in each channel's planes.
std::vector<double> largest_squares(const std::vector<double>& planes, std::int64_t channels) {
  const std::size_t size = planes.size() / channels;
  std::vector<double> largest(channels, 0.0);
#pragma omp parallel for if (worth_threads(static_cast <std::int64_t>(planes.size())))
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < size; ++i)
      largest[c] = std::max(largest[c], planes[c * size + i] * planes[c * size + i]);
  return largest;
}

/// Σ of squared terms where every pixel is as large as the channel's largest: algorithms that mix pixels
/// (Winograd) round in proportion to neighbours, too.
double bounded_squares(const std::vector<double>& weight_squares, std::int64_t taps,
                       const double* largest) {
  double sum = 0;
  for (std::size_t i = 0; i < weight_squares.size(); ++i)
    sum += weight_squares[i] * largest[i / static_cast<std::size_t>(taps)];
  return sum;
}

/// The pixels whose position lies in [first, last); sorted by position.
std::span<const GridPixel> pixels_between(const std::vector<GridPixel>& pixels, std::int64_t first,
                                          std::int64_t last) {
  const auto before = [](const GridPixel& p, std::int64_t position) { return p.position < position; };
  const auto a = std::lower_bound(pixels.begin(), pixels.end(), first, before);
  const auto b = std::lower_bound(a, pixels.end(), last, before);
  return {a, b};
}

/// Sums over shifted planes at positions from `at` on, and the squares of their terms.
struct TileSums {
  std::vector<double> values, squares;
};
TileSums tile_sums(const ConvGrid& grid, const double* planes, std::int64_t plane_size,
                   std::span<const GridTap> taps, const Combined& weights, const double* largest,
                   bool local, std::int64_t at, std::int64_t length) {
  const auto channels = static_cast<std::int64_t>(weights.value.size()) / grid.taps;
  TileSums sums{std::vector<double>(length, 0.0), {}};
  add_shifted(planes + at, plane_size, channels, taps, grid.taps, weights.value.data(), false,
              sums.values);
  if (local) {
    sums.squares.assign(length, 0.0);
    add_shifted(planes + at, plane_size, channels, taps, grid.taps, weights.square.data(), true,
                sums.squares);
  } else {
    sums.squares.assign(length, bounded_squares(weights.square, grid.taps, largest));
  }
  return sums;
}

}  // namespace

double check_conv_forward(const ConvProblem& problem, const ConvExtras& extras, std::span<const float> x,
                          std::span<const float> w, std::span<const float> y, const LayerTolerance& u,
                          std::uint64_t seed) {
  const ConvGrid grid(problem);
  // A ReLU hides which combination it saw: then every channel by itself.
  const Combinations by(grid.group_out, problem.groups, extras.relu ? 1 : widest_combination, seed);
  const std::int64_t filter_size = grid.group_in * grid.taps, pixels = grid.out.height * grid.out.width;
  const auto terms = static_cast<double>(filter_size);
  const bool local = u.winograd <= 1 && !extras.relu;
  Worst worst;
  for (std::int64_t n = 0; n < problem.batch; n += grid.block_images) {
    const std::int64_t images = std::min(grid.block_images, problem.batch - n);
    const std::int64_t length = grid.length(images), tiles = (length + tile - 1) / tile;
    const std::vector<double> planes = grid.input_planes(x, n, images);
    const std::vector<double> largest = largest_squares(planes, problem.in.channels);
    const std::vector<GridTap> taps = grid.forward_taps(images);
    const std::vector<GridPixel> all = grid.output_pixels(n, images);
    const std::int64_t channel_size = grid.phases * (length + grid.margin);
    const std::int64_t work = by.count() * length * grid.group_in * grid.taps;
#pragma omp parallel for schedule(dynamic) if (worth_threads(work))
    for (std::int64_t task = 0; task < by.count() * tiles; ++task) {
      const std::int64_t k = task / tiles, at = task % tiles * tile;
      const std::int64_t end = std::min(at + tile, length), channel = by.group(k) * grid.group_in;
      const Combined weights = combine_filters(by, k, w, filter_size);
      const TileSums sums = tile_sums(grid, planes.data() + channel * channel_size, channel_size, taps,
                                      weights, largest.data() + channel, local, at, end - at);
      const std::span<const GridPixel> here = pixels_between(all, at, end);
      const Combined got = combine_pixels(by, k, y, pixels, here);
      double bias = 0;
      if (!extras.bias.empty())
        for (std::int64_t o = by.first(k); o < by.last(k); ++o)
          bias += by.weight(k, o) * static_cast<double>(extras.bias[o]);
      Worst mine;
      for (std::size_t i = 0; i < here.size(); ++i) {
        const std::int64_t p = here[i].position - at;
        const double sum = sums.values[p] + bias;
        const double wanted = extras.relu ? std::max(sum, 0.0) : sum;
        const double value2 = extras.relu ? std::max(got.square[i], sum * sum) : got.square[i];
        mine.see(got.value[i] - wanted,
                 u.winograd * sum_tolerance(u.u_out, u.u_acc, terms, sums.squares[p], value2));
      }
#pragma omp critical(dlscale_worst)
      worst.see(mine);
    }
  }
  return worst.ratio();
}

double check_conv_data(const ConvProblem& problem, std::span<const float> dx, std::span<const float> w,
                       std::span<const float> dy, const LayerTolerance& u, std::uint64_t seed) {
  const ConvGrid grid(problem);
  const Combinations by(grid.group_in, problem.groups, widest_combination, seed);
  const std::int64_t pixels = problem.in.height * problem.in.width;
  Worst worst;
  for (std::int64_t n = 0; n < problem.batch; n += grid.block_images) {
    const std::int64_t images = std::min(grid.block_images, problem.batch - n);
    const std::int64_t length = grid.length(images), tiles = (length + tile - 1) / tile;
    const std::vector<double> planes = grid.output_planes(dy, n, images);
    const std::vector<double> largest = largest_squares(planes, problem.filters);
    const std::int64_t size = grid.margin + length;
    for (std::int64_t phase = 0; phase < grid.phases; ++phase) {
      const std::vector<GridTap> taps = grid.backward_taps(phase);
      const std::vector<GridPixel> all = grid.input_pixels(phase, n, images);
      const auto terms = static_cast<double>(grid.group_out * static_cast<std::int64_t>(taps.size()));
      const std::int64_t work = by.count() * length * grid.group_out * grid.taps;
#pragma omp parallel for schedule(dynamic) if (worth_threads(work))
      for (std::int64_t task = 0; task < by.count() * tiles; ++task) {
        const std::int64_t k = task / tiles, at = task % tiles * tile;
        const std::int64_t end = std::min(at + tile, length), filter = by.group(k) * grid.group_out;
        const Combined weights = combine_inputs(by, k, w, grid);
        const TileSums sums = tile_sums(grid, planes.data() + filter * size, size, taps, weights,
                                        largest.data() + filter, u.winograd <= 1, at, end - at);
        const std::span<const GridPixel> here = pixels_between(all, at, end);
        const Combined got = combine_pixels(by, k, dx, pixels, here);
        Worst mine;
        for (std::size_t i = 0; i < here.size(); ++i) {
          const std::int64_t p = here[i].position - at;
          mine.see(got.value[i] - sums.values[p],
                   u.winograd * sum_tolerance(u.u_out, u.u_acc, terms, sums.squares[p], got.square[i]));
        }
#pragma omp critical(dlscale_worst)
        worst.see(mine);
      }
    }
    for (const std::int64_t value : grid.unread_pixels(n, images))
      for (std::int64_t c = 0; c < problem.in.channels; ++c)
        worst.see(static_cast<double>(dx[c * pixels + value]), tiny);
  }
  return worst.ratio();
}

double check_conv_weights(const ConvProblem& problem, std::span<const float> x,
                          std::span<const float> dw, std::span<const float> dy, const LayerTolerance& u,
                          std::uint64_t seed) {
  const ConvGrid grid(problem);
  const Combinations by(grid.group_out, problem.groups, widest_combination, seed);
  const std::int64_t filter_size = grid.group_in * grid.taps, pixels = grid.out.height * grid.out.width;
  std::vector<double> sums(by.count() * filter_size, 0.0), squares(sums.size(), 0.0);
  for (std::int64_t n = 0; n < problem.batch; n += grid.block_images) {
    const std::int64_t images = std::min(grid.block_images, problem.batch - n);
    const std::int64_t length = grid.length(images);
    const std::vector<double> planes = grid.input_planes(x, n, images);
    const std::vector<GridTap> taps = grid.forward_taps(images);
    const std::vector<GridPixel> all = grid.output_pixels(n, images);
    const std::int64_t channel_size = grid.phases * (length + grid.margin);
    std::vector<Combined> gradients(by.count(), Combined(length));
    const std::int64_t work = by.count() * length * grid.group_in * grid.taps;
#pragma omp parallel for if (worth_threads(work))
    for (std::int64_t k = 0; k < by.count(); ++k) {
      const Combined packed = combine_pixels(by, k, dy, pixels, all);
      for (std::size_t i = 0; i < all.size(); ++i) {
        gradients[k].value[all[i].position] = packed.value[i];
        gradients[k].square[all[i].position] = packed.square[i];
      }
    }
#pragma omp parallel for if (worth_threads(work))
    for (std::int64_t task = 0; task < by.count() * grid.group_in; ++task) {
      const std::int64_t k = task / grid.group_in;
      const std::int64_t channel = by.group(k) * grid.group_in + task % grid.group_in;
      const double *value = gradients[k].value.data(), *square = gradients[k].square.data();
      for (const GridTap& tap : taps) {
        const double* from = planes.data() + channel * channel_size + tap.offset;
        double sum = 0, terms2 = 0;
#pragma omp simd reduction(+ : sum, terms2)
        for (std::int64_t i = 0; i < length; ++i) {
          sum += value[i] * from[i];
          terms2 += square[i] * (from[i] * from[i]);
        }
        sums[task * grid.taps + tap.index] += sum;
        squares[task * grid.taps + tap.index] += terms2;
      }
    }
  }
  const auto terms = static_cast<double>(problem.batch * pixels);
  Worst worst;
#pragma omp parallel for if (worth_threads(problem.filters * filter_size))
  for (std::int64_t k = 0; k < by.count(); ++k) {
    const Combined got = combine_filters(by, k, dw, filter_size);
    Worst mine;
    for (std::int64_t i = 0; i < filter_size; ++i) {
      const double* of_channel = squares.data() + k * filter_size + i / grid.taps * grid.taps;
      const double terms2 = u.winograd > 1 ? *std::max_element(of_channel, of_channel + grid.taps)
                                           : of_channel[i % grid.taps];
      mine.see(got.value[i] - sums[k * filter_size + i],
               u.winograd * sum_tolerance(u.u_gradient, u.u_acc, terms, terms2, got.square[i]));
    }
#pragma omp critical(dlscale_worst)
    worst.see(mine);
  }
  return worst.ratio();
}

double check_bias_gradient(std::int64_t batch, std::int64_t channels, std::int64_t pixels,
                           std::span<const float> db, std::span<const float> dy,
                           const LayerTolerance& u) {
  Worst worst;
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t n = 0; n < batch; ++n)
      for (std::int64_t i = 0; i < pixels; ++i) {
        const auto v = static_cast<double>(dy[(n * channels + c) * pixels + i]);
        sum += v;
        squares += v * v;
      }
    worst.see(
        static_cast<double>(db[c]) - sum,
        sum_tolerance(u.u_gradient, u.u_acc, static_cast<double>(batch * pixels), squares, sum * sum));
  }
  return worst.ratio();
}

double check_convolution(const ConvProblem& problem, ConvPass pass, std::span<const float> x,
                         std::span<const float> w, std::span<const float> y,
                         const LayerTolerance& tolerance, std::uint64_t seed) {
  const Window& window = problem.window;
  const std::int64_t outputs =
      problem.filters * window.out_height(problem.in.height) * window.out_width(problem.in.width);
  const std::int64_t weights =
      problem.filters * (problem.in.channels / problem.groups) * window.kernel_h * window.kernel_w;
  if (static_cast<std::int64_t>(x.size()) != problem.batch * problem.in.count() ||
      static_cast<std::int64_t>(w.size()) != weights ||
      static_cast<std::int64_t>(y.size()) != problem.batch * outputs)
    throw Error(ExitCode::case_failed, "the check of a convolution got arrays of another size");
  switch (pass) {
    case ConvPass::forward:
      return check_conv_forward(problem, {}, x, w, y, tolerance, seed);
    case ConvPass::backward_data:
      return check_conv_data(problem, x, w, y, tolerance, seed);
    case ConvPass::backward_weights:
      break;
  }
  return check_conv_weights(problem, x, w, y, tolerance, seed);
}

}  // namespace dlscale::nn
