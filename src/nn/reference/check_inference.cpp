// SPDX-License-Identifier: BSD-3-Clause
#include "nn/reference/check_inference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/reference/check_parts.hpp"
#include "nn/winograd.hpp"

namespace dlscale::nn {
namespace {

LayerVerdict wrong(const Layer& layer, const char* why) {
  return {std::numeric_limits<double>::infinity(), layer.name + ": " + why};
}

bool sized(const std::vector<float>& values, std::int64_t count) {
  return static_cast<std::int64_t>(values.size()) == count;
}

// With the effective weights of the folded pair a convolution like any other.
LayerVerdict folded_convolution(const Layer& conv, const Layer& last, std::int64_t batch,
                                const LayerView& view, LayerTolerance tolerance, std::uint64_t seed) {
  if (view.winograd) tolerance.winograd = winograd_factor;
  const ConvProblem problem{batch, conv.in, conv.out.channels, conv.groups, conv.window};
  if (view.inputs.size() != 1 || !sized(view.inputs[0], batch * conv.in.count()) ||
      view.parameters.size() != 2 || !sized(view.parameters[1], conv.out.channels) ||
      !sized(view.output, batch * last.out.count()))
    return wrong(last, "tensors are missing");
  return {check_conv_forward(problem, {.bias = view.parameters[1], .relu = last.op == Op::relu},
                             view.inputs[0], view.parameters[0], view.output, tolerance, seed),
          last.name + " forward"};
}

// y = (x − μ)·γ/√(σ² + ε) + β, element by element.
LayerVerdict running_norm(const Layer& norm, const Layer& last, std::int64_t batch,
                          const LayerView& view, const LayerTolerance& tolerance) {
  const std::int64_t channels = norm.in.channels, pixels = norm.in.height * norm.in.width;
  if (view.inputs.size() != 1 || !sized(view.inputs[0], batch * norm.in.count()) ||
      view.parameters.size() != 2 || !sized(view.mean, channels) || !sized(view.variance, channels) ||
      !sized(view.output, batch * norm.in.count()))
    return wrong(last, "tensors are missing");
  Worst worst;
  std::size_t i = 0;
  for (std::int64_t n = 0; n < batch; ++n)
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const double factor = static_cast<double>(view.parameters[0][c]) /
                            std::sqrt(static_cast<double>(view.variance[c]) + norm.epsilon);
      const double mean = view.mean[c], beta = view.parameters[1][c];
      for (std::int64_t p = 0; p < pixels; ++p, ++i) {
        const double x = view.inputs[0][i];
        double y = (x - mean) * factor + beta;
        const double size = (std::fabs(x) + std::fabs(mean)) * std::fabs(factor) + std::fabs(beta);
        if (last.op == Op::relu) y = std::max(y, 0.0);
        worst.see(static_cast<double>(view.output[i]) - y,
                  tolerance.u_out * std::fabs(y) + 8 * tolerance.u_acc * size + tiny);
      }
    }
  return {worst.ratio(), last.name + " forward"};
}

}  // namespace

LayerVerdict check_inference_layer(const Layer& layer, const Graph& graph, std::int64_t batch,
                                   const LayerView& view, const LayerTolerance& tolerance,
                                   std::uint64_t seed) {
  const Layer& first = view.fused.empty() ? layer : graph.layer(view.fused.front());
  const Layer& last = view.fused.empty() ? layer : graph.layer(view.fused.back());
  if (first.op == Op::batch_norm) return running_norm(first, last, batch, view, tolerance);
  const bool folded = std::any_of(view.fused.begin(), view.fused.end(),
                                  [&](int id) { return graph.layer(id).op == Op::batch_norm; });
  if (folded) return folded_convolution(first, last, batch, view, tolerance, seed);
  return check_layer(layer, graph, batch, view, {}, tolerance, seed);
}

}  // namespace dlscale::nn
