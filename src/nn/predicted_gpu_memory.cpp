// SPDX-License-Identifier: BSD-3-Clause
// The tensors that src/cuda/nn makes of a graph, with the same lifetimes.
#include <algorithm>
#include <cmath>

#include "nn/gpu_memory.hpp"
#include "nn/step_tensors.hpp"

namespace dlscale::nn {
namespace {

class GpuEstimate final : StepTensors {
 public:
  using StepTensors::StepTensors;

  double parameters() const {
    const double each = 4.0 * (options_.trains ? 2 + state_values(options_.optimizer) : 1) +
                        (options_.precision == Precision::bf16 ? 2 : 0);
    double bytes = 4.0 * static_cast<double>(graph_.statistics_count());
    for (const Parameter& p : graph_.parameters())
      bytes += each * 16 * std::ceil(static_cast<double>(p.count()) / 16);
    return bytes;
  }

  // Batch norms folded into convolutions: weights and offsets of their own.
  double folded() const {
    double values = 0;
    for (const Group& group : groups_) {
      if (group.norm < 0) continue;
      const Layer& conv = graph_.layer(group.head);
      values += static_cast<double>(
                    graph_.parameters()[static_cast<std::size_t>(conv.parameters[0])].count()) +
                static_cast<double>(conv.out.channels);
    }
    return value_ * values;
  }

  double arena() {
    for (std::size_t g = 0; g < groups_.size(); ++g) add_group(static_cast<int>(g));
    return static_cast<double>(plan_memory(tenants_).bytes) +
           2.0 * 4 * batch_ * static_cast<double>(graph_.shape(0).count());
  }

 private:
  std::size_t bytes_of(const Shape& shape, double value) const {
    return static_cast<std::size_t>(value * batch_ * static_cast<double>(shape.count()));
  }
  void hold(const Shape& shape, double value, int first, int last) {
    tenants_.push_back({bytes_of(shape, value), first, last});
  }
  static Shape padded(const Layer& layer) {
    const Window& w = layer.window;
    return {layer.in.channels, layer.in.height + w.pad_top + w.pad_bottom,
            layer.in.width + w.pad_left + w.pad_right};
  }
  static bool pads_apart(const Layer& layer) {
    const Window& w = layer.window;
    return layer.op == Op::conv && (w.pad_top != w.pad_bottom || w.pad_left != w.pad_right);
  }

  void add_group(int g) {
    const Group& group = groups_[static_cast<std::size_t>(g)];
    const Layer& head = graph_.layer(group.head);
    const Shape& out = graph_.shape(group.last());
    const bool drops = head.op == Op::dropout && training_ && head.rate > 0;
    if (head.op == Op::softmax_cross_entropy) {
      if (training_) hold(head.in, value_, g, end());
      return;
    }
    if (head.op == Op::dropout && !drops) return;
    int last_user = g;
    for (const int user : graph_.users(group.last()))
      last_user = std::max(last_user, group_of_[static_cast<std::size_t>(user)]);
    const int kept = training_ ? end() : last_user;
    hold(out, value_, g, kept);
    if (pads_apart(head)) hold(padded(head), value_, g, training_ ? end() : g);
    if (head.op == Op::dense && value_ < 4) hold(out, 4, g, training_ ? end() : g);
    if (!training_) return;
    if (head.op == Op::max_pool) hold(out, 2, g, end());
    if (head.op == Op::input || !graph_.needs_gradient(group.last())) return;
    add_backward(g, last_user);
  }

  void add_backward(int g, int last_user) {
    const Group& group = groups_[static_cast<std::size_t>(g)];
    const Layer& head = graph_.layer(group.head);
    const Shape& out = graph_.shape(group.last());
    const int back = backward_step(g), made = backward_step(last_user);
    hold(out, value_, made, back);  // the gradient of its output
    // Each further user's contribution is added into a tensor of its own.
    if (graph_.users(group.last()).size() > 1) hold(out, value_, made, back);
    if (group.relu >= 0 && head.op != Op::batch_norm) hold(out, value_, back, back);
    if (head.op != Op::conv) return;
    if (pads_apart(head) && graph_.needs_gradient(head.inputs.front()))
      hold(padded(head), value_, back, back);
    if (value_ < 4) {
      const auto count =
          static_cast<double>(graph_.parameters()[static_cast<std::size_t>(head.parameters[0])].count());
      tenants_.push_back({static_cast<std::size_t>(value_ * count), back, back});
    }
  }
};

}  // namespace

MemoryEstimate predicted_gpu_memory(const Graph& graph, const ExecutorOptions& options, int batch,
                                    Mode mode) {
  GpuEstimate estimate(graph, options, batch, mode);
  return {.parameters = estimate.parameters(),
          .copies = estimate.folded(),
          .arena = estimate.arena(),
          .scratch = gpu_workspace_bytes};
}

}  // namespace dlscale::nn
