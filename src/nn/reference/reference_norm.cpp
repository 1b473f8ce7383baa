// SPDX-License-Identifier: BSD-3-Clause
// Batch norm in training mode: Ioffe, Szegedy 2015 (arXiv:1502.03167), the variance biased.
#include <cmath>

#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

/// Calls each(i) for every element of channel c.
template <class Each>
void for_channel(const ReferenceLayer& l, std::int64_t c, Each each) {
  const std::int64_t pixels = l.layer.in.height * l.layer.in.width;
  for (std::int64_t n = 0; n < l.batch; ++n) {
    const std::int64_t first = (n * l.layer.in.channels + c) * pixels;
    for (std::int64_t i = first; i < first + pixels; ++i) each(i);
  }
}

}  // namespace

Values batch_norm_forward(ReferenceLayer& l) {
  const std::int64_t channels = l.layer.in.channels;
  const auto count = static_cast<double>(l.batch * l.layer.in.height * l.layer.in.width);
  const Values& x = l.inputs[0];
  Values y(x.size());
  l.mean.assign(channels, 0);
  l.variance.assign(channels, 0);
#pragma omp parallel for if (worth_threads(static_cast <std::int64_t>(x.size())))
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for_channel(l, c, [&](std::int64_t i) { sum += x[i]; });
    const double mean = sum / count;
    for_channel(l, c, [&](std::int64_t i) { squares += (x[i] - mean) * (x[i] - mean); });
    const double variance = squares / count, factor = 1 / std::sqrt(variance + l.layer.epsilon);
    for_channel(l, c, [&](std::int64_t i) {
      y[i] = l.parameters[0][c] * ((x[i] - mean) * factor) + l.parameters[1][c];
    });
    l.mean[c] = mean;
    l.variance[c] = variance;
  }
  return y;
}

void batch_norm_backward(ReferenceLayer& l, const Values& dy) {
  const std::int64_t channels = l.layer.in.channels;
  const auto count = static_cast<double>(l.batch * l.layer.in.height * l.layer.in.width);
  const Values& x = l.inputs[0];
#pragma omp parallel for if (worth_threads(static_cast <std::int64_t>(x.size())))
  for (std::int64_t c = 0; c < channels; ++c) {
    const double mean = l.mean[c], factor = 1 / std::sqrt(l.variance[c] + l.layer.epsilon);
    double dgamma = 0, dbeta = 0;
    for_channel(l, c, [&](std::int64_t i) {
      dgamma += dy[i] * (x[i] - mean) * factor;
      dbeta += dy[i];
    });
    for_channel(l, c, [&](std::int64_t i) {
      l.input_gradients[0][i] = l.parameters[0][c] * factor *
                                (dy[i] - dbeta / count - (x[i] - mean) * factor * dgamma / count);
    });
    l.parameter_gradients[0][c] = dgamma;
    l.parameter_gradients[1][c] = dbeta;
  }
}

}  // namespace dlscale::nn
