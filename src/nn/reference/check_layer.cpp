// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <limits>

#include "nn/reference/check_parts.hpp"
#include "nn/reference/layer_kinds.hpp"
#include "nn/winograd.hpp"

namespace dlscale::nn {
namespace {

using Floats = std::vector<float>;

Values doubles(const Floats& v) {
  return {v.begin(), v.end()};
}

class LayerCheck {
 public:
  LayerCheck(const Layer& layer, const Graph& graph, std::int64_t batch, const LayerView& view,
             std::span<const std::int32_t> labels, const LayerTolerance& tolerance, std::uint64_t seed)
      : layer_(view.fused.empty() ? layer : graph.layer(view.fused.front())),
        last_(view.fused.empty() ? layer : graph.layer(view.fused.back())),
        graph_(graph),
        batch_(batch),
        view_(view),
        labels_(labels),
        u_(tolerance),
        seed_(seed),
        relu_(view.fused.size() > 1) {}

  LayerVerdict run() {
    if (layer_.op == Op::input || !understood() || !complete()) return verdict_;
    switch (layer_.op) {
      case Op::conv:
      case Op::dense:
        view_.backward ? product_backward() : product_forward();
        break;
      case Op::batch_norm:
        view_.backward ? norm_backward() : norm_forward();
        break;
      case Op::softmax_cross_entropy:
        view_.backward ? loss_backward() : loss_forward();
        break;
      default:
        view_.backward ? elements_backward() : elements_forward();
        break;
    }
    return verdict_;
  }

 private:
  void see(double ratio, const std::string& what) { keep_worse(verdict_, {ratio, what}); }
  void refuse(const std::string& what) { see(std::numeric_limits<double>::infinity(), what); }
  std::string forward_name() const { return last_.name + " forward"; }
  std::string data_name() const { return layer_.name + " backward data"; }
  std::string gradient_name(std::size_t i) const {
    return "gradient of " + graph_.parameters()[layer_.parameters[i]].name;
  }

  bool understood() {
    if (!relu_) return true;
    const bool linear = layer_.op == Op::conv || layer_.op == Op::dense || layer_.op == Op::batch_norm;
    if (linear && view_.fused.size() == 2 && last_.op == Op::relu) return true;
    refuse(last_.name + ": this fusion has no check");
    return false;
  }

  bool sized(const Floats& values, std::int64_t count, const std::string& what) {
    if (static_cast<std::int64_t>(values.size()) == count) return true;
    refuse(what + ": " + std::to_string(values.size()) + " values instead of " + std::to_string(count));
    return false;
  }

  /// Whether the view holds what this pass has, in the right sizes.
  bool complete() {
    const std::string name = last_.name;
    bool good = view_.inputs.size() == layer_.inputs.size() &&
                view_.parameters.size() == layer_.parameters.size();
    if (!good) refuse(name + ": inputs or parameters are missing");
    for (std::size_t i = 0; good && i < layer_.inputs.size(); ++i)
      good = sized(view_.inputs[i], batch_ * graph_.shape(layer_.inputs[i]).count(), name + " input");
    for (std::size_t i = 0; good && i < layer_.parameters.size(); ++i)
      good = sized(view_.parameters[i], parameter(i).count(), parameter(i).name);
    if (!good) return false;
    const std::int64_t outputs = batch_ * last_.out.count();
    const bool loss = layer_.op == Op::softmax_cross_entropy;
    // Without one the reference would drop nothing, as a layer that forgets to drop.
    if (layer_.op == Op::dropout && layer_.rate > 0 &&
        !sized(view_.mask, outputs, "mask of " + layer_.name))
      return false;
    if (loss && static_cast<std::int64_t>(labels_.size()) != batch_) {
      refuse(name + ": labels are missing");
      return false;
    }
    if (!view_.backward) return loss || sized(view_.output, outputs, name + " output");
    if (relu_ && !sized(view_.output, outputs, name + " output")) return false;
    return (loss || sized(view_.output_gradient, outputs, name + " output gradient")) &&
           gradients_complete();
  }

  bool gradients_complete() {
    bool good = true;
    for (std::size_t i = 0; good && i < layer_.inputs.size(); ++i)
      if (wants_input(i) || has_input_gradient(i)) {
        good = i < view_.input_gradients.size() &&
               sized(view_.input_gradients[i], batch_ * graph_.shape(layer_.inputs[i]).count(),
                     data_name());
        if (i >= view_.input_gradients.size()) refuse(data_name() + ": no gradient");
      }
    if (!good || !layer_.trainable || layer_.parameters.empty()) return good;
    if (view_.parameter_gradients.size() != layer_.parameters.size()) {
      refuse(gradient_name(0) + ": no gradient");
      return false;
    }
    for (std::size_t i = 0; good && i < layer_.parameters.size(); ++i)
      good = sized(view_.parameter_gradients[i], parameter(i).count(), gradient_name(i));
    return good;
  }

  const Parameter& parameter(std::size_t i) const { return graph_.parameters()[layer_.parameters[i]]; }
  bool wants_input(std::size_t i) const { return graph_.needs_gradient(layer_.inputs[i]); }
  bool has_input_gradient(std::size_t i) const {
    return i < view_.input_gradients.size() && !view_.input_gradients[i].empty();
  }

  /// The gradient that comes through a fused ReLU.
  Floats through_relu() const {
    Floats dy = view_.output_gradient;
    if (relu_)
      for (std::size_t i = 0; i < dy.size(); ++i)
        if (!(view_.output[i] > 0)) dy[i] = 0;
    return dy;
  }

  ReferenceLayer reference() const {
    ReferenceLayer l{.layer = layer_,
                     .batch = batch_,
                     .mask = doubles(view_.mask),
                     .labels = {labels_.begin(), labels_.end()}};
    for (const Floats& x : view_.inputs) l.inputs.push_back(doubles(x));
    for (const Floats& w : view_.parameters) l.parameters.push_back(doubles(w));
    return l;
  }

  /// A dense layer is a convolution of one pixel with as many channels as it has inputs.
  ConvProblem problem() const {
    if (layer_.op == Op::conv)
      return {batch_, layer_.in, layer_.out.channels, layer_.groups, layer_.window};
    return {batch_, {layer_.in.count(), 1, 1}, layer_.out.count(), 1, Window{}};
  }
  LayerTolerance product_tolerance(bool winograd) const {
    LayerTolerance u = u_;
    if (winograd) u.winograd = winograd_factor;
    return u;
  }

  void product_forward() {
    ConvExtras extras;
    extras.relu = relu_;
    if (layer_.bias) extras.bias = view_.parameters[1];
    see(check_conv_forward(problem(), extras, view_.inputs[0], view_.parameters[0], view_.output,
                           product_tolerance(view_.winograd), seed_),
        forward_name());
  }

  void product_backward() {
    const Floats dy = through_relu();
    if (has_input_gradient(0))
      see(check_conv_data(problem(), view_.input_gradients[0], view_.parameters[0], dy,
                          product_tolerance(view_.winograd), seed_),
          data_name());
    if (!layer_.trainable) return;
    see(check_conv_weights(problem(), view_.inputs[0], view_.parameter_gradients[0], dy,
                           product_tolerance(view_.winograd_weights), seed_),
        gradient_name(0));
    if (layer_.bias)
      see(check_bias_gradient(batch_, layer_.out.channels, layer_.out.height * layer_.out.width,
                              view_.parameter_gradients[1], dy, u_),
          gradient_name(1));
  }

  void norm_forward() {
    for (const Floats* statistics : {&view_.mean, &view_.variance})
      if (!sized(*statistics, layer_.in.channels, layer_.name + " statistics")) return;
    ReferenceLayer l = reference();
    const NormForwardRatios ratios = check_norm_forward(l, relu_, view_, u_);
    see(ratios.output, forward_name());
    see(ratios.statistics, "statistics of " + layer_.name);
  }

  void norm_backward() {
    ReferenceLayer l = reference();
    const NormBackwardRatios ratios = check_norm_backward(l, doubles(through_relu()), view_, u_);
    see(ratios.data, data_name());
    if (!layer_.trainable) return;
    see(ratios.gamma, gradient_name(0));
    see(ratios.beta, gradient_name(1));
  }

  void loss_forward() {
    if (!sized(view_.output, 1, forward_name())) return;
    ReferenceLayer l = reference();
    const double loss = l.forward()[0];
    double largest = 1;
    for (const double z : l.inputs[0]) largest = std::max(largest, std::fabs(z));
    Worst worst;
    worst.see(static_cast<double>(view_.output[0]) - loss, 16 * u_.u_acc * (largest + loss));
    see(worst.ratio(), forward_name());
  }

  void loss_backward() {
    if (!has_input_gradient(0)) return see(0, data_name());
    ReferenceLayer l = reference();
    l.backward({1});
    const std::int64_t classes = layer_.in.count();
    Worst worst;
    for (std::int64_t n = 0; n < batch_; ++n) {
      double largest = 1;
      for (std::int64_t k = 0; k < classes; ++k)
        largest = std::max(largest, std::fabs(l.inputs[0][n * classes + k]));
      for (std::int64_t k = 0; k < classes; ++k) {
        const std::int64_t i = n * classes + k;
        const double wanted = l.input_gradients[0][i], one = 1 / static_cast<double>(batch_);
        const double share = wanted + (k == labels_[n] ? one : 0);  // of the softmax alone
        worst.see(static_cast<double>(view_.input_gradients[0][i]) - wanted,
                  2 * u_.u_out * std::fabs(wanted) + 16 * u_.u_acc * largest * share +
                      (k == labels_[n] ? 4 * u_.u_acc * one : 0) + tiny);
      }
    }
    see(worst.ratio(), data_name());
  }

  /// Terms of one sum: of these layers' outputs and input gradients alike.
  double terms() const {
    const bool pool =
        layer_.op == Op::avg_pool || layer_.op == Op::max_pool || layer_.op == Op::global_avg_pool;
    return pool ? static_cast<double>(layer_.window.kernel_h * layer_.window.kernel_w) : 2;
  }

  /// Sums are judged by the same sums over absolute values.
  void elements(const Values& wanted, const Values& magnitude, const Floats& got, double stored,
                const std::string& what) {
    Worst worst;
    const double rounding = 2 * u_.u_acc * std::sqrt(terms() + 8);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      worst.see(
          static_cast<double>(got[i]) - wanted[i],
          2 * u_.u_out * std::fabs(wanted[i]) + stored * magnitude[i] + rounding * magnitude[i] + tiny);
    see(worst.ratio(), what);
  }
  static Values absolute(Values values) {
    for (double& v : values) v = std::fabs(v);
    return values;
  }

  void elements_forward() {
    if (layer_.op == Op::dropout) mask();
    ReferenceLayer l = reference();
    const Values wanted = l.forward();
    Values magnitude = absolute(wanted);
    if (terms() > 2 || layer_.op == Op::add) {
      if (layer_.op != Op::max_pool) {
        for (Values& x : l.inputs) x = absolute(x);
        magnitude = l.forward();
      }
    }
    elements(wanted, magnitude, view_.output, 0, forward_name());
  }

  void elements_backward() {
    ReferenceLayer l = reference();
    const Values dy = doubles(view_.output_gradient);
    l.backward(dy);
    const std::vector<Values> wanted = l.input_gradients;
    l.backward(absolute(dy));
    // Windows of a pool that overlap may be added up in the stored type.
    for (std::size_t i = 0; i < wanted.size(); ++i)
      if (has_input_gradient(i))
        elements(wanted[i], l.input_gradients[i], view_.input_gradients[i], 2 * u_.u_out, data_name());
  }

  /// A mask of 0 and 1/(1 − rate), with as many zeros as chance allows (six standard deviations).
  void mask() {
    if (view_.mask.empty()) return;  // rate 0
    double kept = 0;
    Worst worst;
    for (const float value : view_.mask) {
      if (value == 0) continue;
      kept += 1;
      worst.see(static_cast<double>(value) * (1 - layer_.rate) - 1, 2 * u_.u_out + 4 * u_.u_acc);
    }
    const auto count = static_cast<double>(view_.mask.size());
    worst.see(kept - count * (1 - layer_.rate),
              6 * std::sqrt(count * layer_.rate * (1 - layer_.rate)) + 1e-9 * count);
    see(worst.ratio(), "mask of " + layer_.name);
  }

  const Layer &layer_, &last_;
  const Graph& graph_;
  std::int64_t batch_;
  const LayerView& view_;
  std::span<const std::int32_t> labels_;
  const LayerTolerance& u_;
  std::uint64_t seed_;
  bool relu_;
  LayerVerdict verdict_;
};

}  // namespace

LayerVerdict check_layer(const Layer& layer, const Graph& graph, std::int64_t batch,
                         const LayerView& view, std::span<const std::int32_t> labels,
                         const LayerTolerance& tolerance, std::uint64_t seed) {
  return LayerCheck(layer, graph, batch, view, labels, tolerance, seed).run();
}

}  // namespace dlscale::nn
