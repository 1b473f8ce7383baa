// SPDX-License-Identifier: BSD-3-Clause
// Batch norm element by element, with what rounding of the statistics does to all elements of a channel.
#include "nn/reference/check_parts.hpp"
#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

/// Errors allowed of one channel's statistics, and of what follows from them.
struct ChannelError {
  double mean = 0, variance = 0;
  double factor = 0;   ///< relative, of 1/√(variance + ε)
  double centred = 0;  ///< of (x − mean)/√…, the relative part apart
  double inverse = 0;  ///< 1/√(variance + ε)
  double shift = 0;    ///< mean/√…
};

ChannelError channel_error(const ReferenceLayer& l, std::int64_t c, const LayerTolerance& u) {
  const auto count = static_cast<double>(l.batch * l.layer.in.height * l.layer.in.width);
  const double mean = l.mean[c], variance = l.variance[c];
  const double square = mean * mean + variance;  // of one element
  ChannelError e;
  e.inverse = 1 / std::sqrt(variance + l.layer.epsilon);
  e.shift = mean * e.inverse;
  e.mean = sum_tolerance(u.u_acc, u.u_acc, count, count * square, count * count * mean * mean) / count;
  // All terms are positive, and one pass over x² − mean² must be allowed.
  e.variance = sum_tolerance(u.u_acc, u.u_acc, count, 3 * count * square * square,
                             count * count * square * square) /
               count;
  e.factor = 0.5 * e.variance * e.inverse * e.inverse + 4 * u.u_acc;
  e.centred = e.mean * e.inverse;
  return e;
}

template <class Each>
void for_elements(const ReferenceLayer& l, Each each) {
  const std::int64_t channels = l.layer.in.channels, pixels = l.layer.in.height * l.layer.in.width;
#pragma omp parallel for if (worth_threads(l.batch * channels * pixels))
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t n = 0; n < l.batch; ++n) {
      const std::int64_t first = (n * channels + c) * pixels;
      for (std::int64_t i = first; i < first + pixels; ++i) each(c, i);
    }
}

}  // namespace

NormForwardRatios check_norm_forward(ReferenceLayer& l, bool relu, const LayerView& view,
                                     const LayerTolerance& u) {
  const Values wanted = l.forward();
  std::vector<Worst> worst(l.mean.size());
  std::vector<ChannelError> errors;
  Worst statistics;
  for (std::size_t c = 0; c < l.mean.size(); ++c) {
    errors.push_back(channel_error(l, static_cast<std::int64_t>(c), u));
    statistics.see(static_cast<double>(view.mean[c]) - l.mean[c], errors[c].mean + tiny);
    statistics.see(static_cast<double>(view.variance[c]) - l.variance[c], errors[c].variance + tiny);
  }
  for_elements(l, [&](std::int64_t c, std::int64_t i) {
    const ChannelError& e = errors[c];
    const double gamma = std::fabs(l.parameters[0][c]), beta = l.parameters[1][c];
    const double scaled = std::fabs(wanted[i] - beta);  // |γ x̂|
    const double y = relu && wanted[i] < 0 ? 0 : wanted[i];
    const double tolerance = gamma * (e.centred + 4 * u.u_acc * std::fabs(e.shift)) +
                             scaled * (e.factor + 4 * u.u_acc) + 4 * u.u_acc * std::fabs(beta) +
                             2 * u.u_out * std::fabs(y) + tiny;
    worst[c].see(static_cast<double>(view.output[i]) - y, tolerance);
  });
  Worst all;
  for (const Worst& w : worst) all.see(w);
  return {.output = all.ratio(), .statistics = statistics.ratio()};
}

NormBackwardRatios check_norm_backward(ReferenceLayer& l, const Values& dy, const LayerView& view,
                                       const LayerTolerance& u) {
  l.forward();
  l.backward(dy);
  const auto count = static_cast<double>(l.batch * l.layer.in.height * l.layer.in.width);
  const auto& channels = l.mean;
  std::vector<double> squares(channels.size(), 0.0), products(channels.size(), 0.0);
  std::vector<ChannelError> errors;
  for (std::size_t c = 0; c < channels.size(); ++c)
    errors.push_back(channel_error(l, static_cast<std::int64_t>(c), u));
  const auto normalised = [&](std::int64_t c, std::int64_t i) {
    return (l.inputs[0][i] - l.mean[c]) * errors[c].inverse;
  };
  for_elements(l, [&](std::int64_t c, std::int64_t i) {
    squares[c] += dy[i] * dy[i];
    products[c] += dy[i] * normalised(c, i) * dy[i] * normalised(c, i);
  });

  Worst gamma_worst, beta_worst;
  std::vector<double> gamma_error(channels.size()), beta_error(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const ChannelError& e = errors[c];
    const double dgamma = l.parameter_gradients[0][c], dbeta = l.parameter_gradients[1][c];
    // x̂ is wrong by the same amount everywhere (mean), and by its own rounding of x − mean.
    const double moved = (e.centred + 4 * u.u_acc * std::fabs(e.shift)) * std::fabs(dbeta) +
                         8 * u.u_acc * std::fabs(e.shift) * std::sqrt(squares[c]);
    beta_error[c] = sum_tolerance(u.u_gradient, u.u_acc, count, squares[c], dbeta * dbeta);
    gamma_error[c] = sum_tolerance(u.u_gradient, u.u_acc, count, products[c], dgamma * dgamma) + moved +
                     e.factor * std::fabs(dgamma);
    if (view.parameter_gradients.size() == 2) {
      gamma_worst.see(static_cast<double>(view.parameter_gradients[0][c]) - dgamma, gamma_error[c]);
      beta_worst.see(static_cast<double>(view.parameter_gradients[1][c]) - dbeta, beta_error[c]);
    }
  }
  NormBackwardRatios ratios{.gamma = gamma_worst.ratio(), .beta = beta_worst.ratio()};
  if (view.input_gradients.empty() || view.input_gradients[0].empty()) return ratios;

  std::vector<Worst> worst(channels.size());
  for_elements(l, [&](std::int64_t c, std::int64_t i) {
    const ChannelError& e = errors[c];
    const double scale = std::fabs(l.parameters[0][c]) * e.inverse, x = std::fabs(normalised(c, i));
    const double dgamma = std::fabs(l.parameter_gradients[0][c]) / count;
    const double dbeta = std::fabs(l.parameter_gradients[1][c]) / count;
    const double x_error = e.centred + 4 * u.u_acc * std::fabs(e.shift) + e.factor * x;
    const double dx = l.input_gradients[0][i];
    const double tolerance =
        scale * (beta_error[c] / count + x * gamma_error[c] / count + x_error * dgamma +
                 (e.factor + 6 * u.u_acc) * (std::fabs(dy[i]) + dbeta + x * dgamma)) +
        2 * u.u_out * std::fabs(dx) + tiny;
    worst[c].see(static_cast<double>(view.input_gradients[0][i]) - dx, tolerance);
  });
  Worst all;
  for (const Worst& w : worst) all.see(w);
  ratios.data = all.ratio();
  return ratios;
}

}  // namespace dlscale::nn
