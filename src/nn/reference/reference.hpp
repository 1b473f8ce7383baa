// SPDX-License-Identifier: BSD-3-Clause
/// Every layer in float64, by its definition: what executors are judged by. Canonical layouts, batch × C
/// × H × W.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nn/executor.hpp"
#include "nn/graph.hpp"

namespace dlscale::nn {

using Values = std::vector<double>;

/// One layer in training mode, with the statistics of the batch. `mask` (empty: ones) for dropout.
/// `mean`, `variance` receive a batch norm's statistics, the variance biased. The loss has one value and
/// takes its gradient {1}.
struct ReferenceLayer {
  const Layer& layer;
  std::int64_t batch = 1;
  std::vector<Values> inputs{};
  std::vector<Values> parameters{};
  Values mask{};
  std::vector<std::int32_t> labels{};  ///< softmax cross-entropy

  Values forward();
  /// Gradients of inputs and parameters for `output_gradient`; forward() first.
  void backward(const Values& output_gradient);

  Values mean{}, variance{};
  std::vector<Values> input_gradients{}, parameter_gradients{};
};

/// Largest |difference| / tolerance over what the view holds, against float64, at full size: every
/// element of every output and gradient is covered, from the view's own inputs, so that errors of
/// earlier layers don't count. Convolutions and dense layers by random combinations over channels
/// (output channels forward and for weights, input channels backward), at the cost of the work divided
/// by the channels; others element by element. A tensor that the graph asks for and the view lacks is
/// wrong.
struct LayerVerdict {
  double ratio = 0;  ///< > 1, or NaN, is wrong
  std::string what;  ///< the worst: "conv2 forward", "conv2 backward data", "gradient of conv2.weight"
};
/// Keeps the worse of two, the first of equals unless it has no name; the first NaN stays.
inline void keep_worse(LayerVerdict& worst, const LayerVerdict& own) {
  if (std::isnan(worst.ratio) || (own.ratio <= worst.ratio && !worst.what.empty())) return;
  worst = own;
}
/// Unit roundoffs (half the spacing at 1): f32 2⁻²⁴, bf16 2⁻⁸.
struct LayerTolerance {
  double u_out = 0x1p-24;       ///< of stored outputs and gradients of activations
  double u_acc = 0x1p-24;       ///< of accumulation
  double u_gradient = 0x1p-24;  ///< of stored gradients of parameters
  double winograd = 1;          ///< > 1: factor for convolutions by Winograd's algorithm (or FFT)
};
/// `view.fused` (convolution, batch norm or dense, then ReLU) takes precedence over `layer`.
LayerVerdict check_layer(const Layer& layer, const Graph& graph, std::int64_t batch,
                         const LayerView& view, std::span<const std::int32_t> labels,
                         const LayerTolerance& tolerance, std::uint64_t seed);

/// A convolution's three passes by themselves, for the conv2d workload: the same random combinations on
/// plain arrays.
enum class ConvPass { forward, backward_data, backward_weights };
struct ConvProblem {
  std::int64_t batch = 1;
  Shape in;
  std::int64_t filters = 1, groups = 1;
  Window window;
};
/// Ratio of the largest error to its tolerance for one pass: `x` input, `w` weights, `y` output (or
/// their gradients, by pass), all batch × C × H × W resp. O × I/g × kh × kw.
double check_convolution(const ConvProblem& problem, ConvPass pass, std::span<const float> x,
                         std::span<const float> w, std::span<const float> y,
                         const LayerTolerance& tolerance, std::uint64_t seed);

/// The whole network in float64, for tests: `steps` are forward, backward, update by hand. Small sizes
/// only.
class ReferenceNetwork {
 public:
  ReferenceNetwork(const Graph& graph, std::int64_t batch);
  std::vector<Values> parameters;  ///< [Graph::parameters()]
  std::vector<Values> gradients;   ///< after backward()
  std::vector<Values> masks;       ///< [layer] dropout; empty = ones
  std::vector<Values> outputs;     ///< [layer]
  double forward(std::span<const double> images, std::span<const std::int32_t> labels);
  void backward();
  /// A batch norm's statistics, a layer's own gradients.
  const ReferenceLayer& layer(int id) const { return layers_[static_cast<std::size_t>(id)]; }

 private:
  const Graph& graph_;
  std::int64_t batch_;
  std::vector<ReferenceLayer> layers_;
};

}  // namespace dlscale::nn
