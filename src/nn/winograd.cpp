// SPDX-License-Identifier: BSD-3-Clause
#include "nn/winograd.hpp"

namespace dlscale::nn {
namespace {

// Per pair of channels, in multiply-adds of a direct convolution: a tile costs 72, the weights 5000.
// Fitted to oneDNN's AVX-512 kernels on maps of 4×4 to 56×56, batches of 16 and 64.
constexpr double tile_cost = 72, weights_cost = 5000;
constexpr std::int64_t fewest_channels = 32, tile = 4;

double tiles_along(std::int64_t size) {
  return static_cast<double>((size + tile - 1) / tile);
}

}  // namespace

bool suits_winograd(const Layer& layer, std::int64_t batch) {
  const Window& w = layer.window;
  if (layer.op != Op::conv || w.kernel_h != 3 || w.kernel_w != 3 || w.stride_h != 1 || w.stride_w != 1 ||
      layer.groups != 1 || layer.in.channels < fewest_channels || layer.out.channels < fewest_channels)
    return false;
  const auto images = static_cast<double>(batch);
  const double direct = 9.0 * images * static_cast<double>(layer.out.height * layer.out.width);
  const double tiles = tiles_along(layer.out.height) * tiles_along(layer.out.width);
  return tile_cost * images * tiles + weights_cost < direct;
}

bool wants_winograd(const Layer& layer, const ExecutorOptions& options, std::int64_t batch) {
  if (options.precision != Precision::f32 || options.algorithm == "direct") return false;
  return options.algorithm == "winograd" || suits_winograd(layer, batch);
}

bool by_winograd(const Layer& layer, const ExecutorOptions& options, std::int64_t batch) {
  return wants_winograd(layer, options, batch) && has_winograd(layer, batch);
}

}  // namespace dlscale::nn
