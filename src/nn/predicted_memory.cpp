// SPDX-License-Identifier: BSD-3-Clause
// What a CPU executor will hold, without one: the same lifetimes, sizes as the library pads them, and
// its own word on Winograd's scratch memory.
#include <algorithm>
#include <cmath>

#include "nn/step_tensors.hpp"
#include "nn/winograd.hpp"

namespace dlscale::nn {
namespace {

constexpr double f32_bytes = 4;

class Estimate final : StepTensors {
 public:
  using StepTensors::StepTensors;

  double arena() {
    for (std::size_t g = 0; g < groups_.size(); ++g) add_group(static_cast<int>(g));
    return static_cast<double>(plan_memory(tenants_).bytes);
  }

  double parameters() const {
    const bool state = training_ || options_.trains;
    const double copies = f32_bytes * (state ? 2 + state_values(options_.optimizer) : 1);
    double bytes = 0;
    for (const Parameter& p : graph_.parameters()) bytes += copies * padded_count(p);
    return bytes;
  }

  double copies() const {
    double bytes = 0;
    for (const Parameter& p : graph_.parameters())
      if (p.kind == ParameterKind::weight) bytes += working_copies(p);
    return bytes;
  }

  double scratch() const {
    double most = 0;
    for (const Layer& layer : graph_.layers()) {
      if (layer.op != Op::conv) continue;
      const auto weights =
          f32_bytes * static_cast<double>(
                          graph_.parameters()[static_cast<std::size_t>(layer.parameters[0])].count());
      // Gradients of weights are summed over threads.
      double own = training_ ? (options_.threads - 1) * weights : 0;
      if (by_winograd(layer, options_, batch_))
        own = std::max(own, winograd_bytes(layer, batch_, options_.threads, training_).scratch);
      most = std::max(most, own);
    }
    return most;
  }

 private:
  // Weights are kept in blocks of 16 channels where there are more than a few.
  static double padded(std::int64_t channels) {
    return static_cast<double>(channels > 4 ? (channels + 15) / 16 * 16 : channels);
  }

  double padded_count(const Parameter& p) const {
    auto count = static_cast<double>(p.count());
    if (p.kind == ParameterKind::weight && graph_.layer(p.layer).groups == 1)
      count *= padded(p.dims[0]) / static_cast<double>(p.dims[0]);
    return 16 * std::ceil(count / 16);
  }

  // Bytes of copies in other layouts or types than the master's: for the forward pass in bf16 or with
  // folded batch norms, for gradients of inputs by direct convolutions.
  double working_copies(const Parameter& p) const {
    const Layer& layer = graph_.layer(p.layer);
    const bool backward = training_ && graph_.needs_gradient(layer.inputs.front());
    const double once = f32_bytes * padded_count(p);
    if (options_.precision == Precision::bf16) return backward ? once : once / 2;
    const bool winograd = by_winograd(layer, options_, batch_);
    if (!training_)
      return winograd ? winograd_bytes(layer, batch_, options_.threads, false).weights : once;
    return backward && layer.op == Op::conv && !winograd ? once : 0;
  }

  std::size_t bytes_of(const Shape& shape, double value) const {
    return static_cast<std::size_t>(value * batch_ * padded(shape.channels) *
                                    static_cast<double>(shape.height * shape.width));
  }

  // Whether the backward pass of a group reads its input.
  static bool reads_input(Op op) { return op == Op::conv || op == Op::dense || op == Op::batch_norm; }

  void add_group(int g) {
    const Group& group = groups_[static_cast<std::size_t>(g)];
    const Layer& head = graph_.layer(group.head);
    const Shape& out = graph_.shape(group.last());
    if (head.op == Op::softmax_cross_entropy) return;
    if (head.op == Op::dropout && !training_) return;
    int last = g, last_user = g;
    for (const int user : graph_.users(group.last())) {
      const int other = group_of_[static_cast<std::size_t>(user)];
      last_user = std::max(last_user, other);
      last =
          std::max(last, training_ && reads_input(graph_.layer(user).op) ? backward_step(other) : other);
    }
    const bool own_output =
        training_ && (head.op == Op::relu || (group.relu >= 0 && head.op != Op::batch_norm));
    if (own_output) last = std::max(last, backward_step(g));
    if (head.op == Op::input) {
      if (options_.precision == Precision::bf16) tenants_.push_back({bytes_of(out, value_), g, last});
      return;
    }
    const std::size_t bytes = bytes_of(out, value_);
    tenants_.push_back({bytes, g, last});
    if (!training_ || !graph_.needs_gradient(group.last())) return;
    const int back = backward_step(g);
    if (head.op == Op::max_pool) tenants_.push_back({bytes_of(out, 1), g, back});
    if (head.op == Op::dropout) tenants_.push_back({bytes_of(out, 1), g, back});
    if (head.op == Op::batch_norm && group.relu >= 0)
      tenants_.push_back({bytes_of(out, 0.125), g, back});
    tenants_.push_back({bytes, backward_step(last_user), back});  // its gradient
    if (group.relu >= 0 && head.op != Op::batch_norm) tenants_.push_back({bytes, back, back});
    // Each further user's contribution is added into a tensor of its own.
    if (graph_.users(group.last()).size() > 1)
      tenants_.push_back({bytes, backward_step(last_user), back});
  }
};

}  // namespace

MemoryEstimate predicted_memory(const Graph& graph, const ExecutorOptions& options, int batch,
                                Mode mode) {
  Estimate estimate(graph, options, batch, mode);
  return {.parameters = estimate.parameters(),
          .copies = estimate.copies(),
          .arena = estimate.arena(),
          .scratch = estimate.scratch()};
}

}  // namespace dlscale::nn
