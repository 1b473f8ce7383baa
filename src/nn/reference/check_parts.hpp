// SPDX-License-Identifier: BSD-3-Clause
/// What the checks share: how much rounding a sum may show, and the worst element.
#pragma once

#include <cmath>
#include <span>

#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {

/// Worst |error| / tolerance. NaN stays.
class Worst {
 public:
  void see(double error, double tolerance) {
    if (error == 0 || std::isnan(ratio_)) return;
    const double ratio = std::fabs(error) / tolerance;
    if (!(ratio <= ratio_)) ratio_ = ratio;
  }
  void see(const Worst& other) { see(other.ratio_, 1); }
  double ratio() const { return ratio_; }

 private:
  double ratio_ = 0;
};

/// Rounding below the normal numbers may be absolute (flush to zero).
inline constexpr double tiny = 0x1p-120;

/// What the largest of very many errors of a stored sum of `length` terms may be: eight standard
/// deviations. Storing rounds by 0.4 u_out |value|. Accumulating in any order rounds partial sums, which
/// are about √(squares · i/length) where signs are random and value · i/length where they agree:
/// 0.3 u_acc √length √(squares + value²). Roundings of long sums are not independent: behind a batch
/// norm many gradients are equal and round in the same direction, in a plain f32 loop as well (5 times
/// the independent estimate was seen over 400,000 terms, 33 times over 200,000): 1 + √length/4 times
/// more. `squares`: sum of the squares of the terms; `value2`: square of the value; both may be sums
/// over independently rounded values.
inline double sum_tolerance(double u_out, double u_acc, double length, double squares, double value2) {
  const double out = 0.4 * u_out, acc = 0.3 * u_acc * (1 + std::sqrt(length) / 4);
  return 8 * std::sqrt(out * out * value2 + acc * acc * (length + 8) * (squares + value2)) + tiny;
}

/// What is fused to a convolution's forward pass.
struct ConvExtras {
  std::span<const float> bias;  ///< empty: none
  bool relu = false;
};

double check_conv_forward(const ConvProblem& problem, const ConvExtras& extras, std::span<const float> x,
                          std::span<const float> w, std::span<const float> y,
                          const LayerTolerance& tolerance, std::uint64_t seed);
double check_conv_data(const ConvProblem& problem, std::span<const float> dx, std::span<const float> w,
                       std::span<const float> dy, const LayerTolerance& tolerance, std::uint64_t seed);
double check_conv_weights(const ConvProblem& problem, std::span<const float> x,
                          std::span<const float> dw, std::span<const float> dy,
                          const LayerTolerance& tolerance, std::uint64_t seed);
/// Batch norm (`relu`: and its ReLU) with `l` made from the view; `dy` is what comes through the ReLU.
struct NormForwardRatios {
  double output = 0, statistics = 0;
};
struct NormBackwardRatios {
  double data = 0, gamma = 0, beta = 0;
};
NormForwardRatios check_norm_forward(ReferenceLayer& l, bool relu, const LayerView& view,
                                     const LayerTolerance& tolerance);
NormBackwardRatios check_norm_backward(ReferenceLayer& l, const Values& dy, const LayerView& view,
                                       const LayerTolerance& tolerance);

/// `db`: one value per channel of `dy`, batch × channels × pixels.
double check_bias_gradient(std::int64_t batch, std::int64_t channels, std::int64_t pixels,
                           std::span<const float> db, std::span<const float> dy,
                           const LayerTolerance& tolerance);

}  // namespace dlscale::nn
