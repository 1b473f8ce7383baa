// SPDX-License-Identifier: BSD-3-Clause
// What checks see: tensors as float32 in canonical layout.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/onednn/fold.hpp"
#include "nn/onednn/host_ops.hpp"
#include "nn/onednn/onednn_executor.hpp"

namespace dlscale::nn::onednn {
namespace {

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

void round_to_bf16(std::vector<float>& values) {
  for (float& value : values) value = from_bf16(to_bf16(value));
}

}  // namespace

std::vector<float> OnednnExecutor::canonical(int slot, const Desc& as) const {
  if (slot < 0) return {};
  const Memory& memory = current().slots[static_cast<std::size_t>(slot)].memory;
  const Dims dims = dims_of(memory.get_desc());
  std::vector<float> values(bytes_of(as) / sizeof(float));
  // The same number of values under other dimensions (N × C for N × C × 1 × 1).
  const Desc target = dims == dims_of(as) ? as : plain(dims, Type::f32);
  copy(memory, Memory(target, engine(), values.data()));
  return values;
}

std::vector<float> OnednnExecutor::layer_values(int slot, int layer) const {
  const Shape& shape = graph_.shape(layer);
  return canonical(slot, plain({current().batch, shape.channels, shape.height, shape.width}, Type::f32));
}

// Whether there is something to look at. The loss's gradient is made in the forward pass, by its one
// step, and shown where it belongs.
bool OnednnExecutor::computes(const Stretch& stretch, bool backward) const {
  if (stretch.begin != stretch.end) return true;
  const Group& group = current().groups[static_cast<std::size_t>(stretch.group)];
  return backward && graph_.layer(group.head).op == Op::softmax_cross_entropy &&
         graph_.needs_gradient(group.head);
}

// The backward pass of a check looks at inputs and outputs that the network itself no longer needs then
// (a pool remembers places, a fused ReLU bits): those are copied while they are there.
void OnednnExecutor::keep_for_backward(const Stretch& stretch) {
  const Program& program = current();
  const auto back = std::find_if(program.backward.begin(), program.backward.end(),
                                 [&](const Stretch& s) { return s.group == stretch.group; });
  if (back == program.backward.end() || !computes(*back, true)) return;
  const Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const GroupSlots& slots = program.group_slots[static_cast<std::size_t>(stretch.group)];
  const auto keep = [&](int slot, int layer) {
    if (slot >= 0 && program.slots[static_cast<std::size_t>(slot)].home == Home::arena &&
        program.slots[static_cast<std::size_t>(slot)].last < back->end && !kept_.contains(slot))
      kept_[slot] = layer_values(slot, layer);
  };
  const Layer& head = graph_.layer(group.head);
  for (std::size_t i = 0; i < head.inputs.size(); ++i) keep(slots.inputs[i], head.inputs[i]);
  if (head.op != Op::softmax_cross_entropy) keep(slots.output, group.last());
}

std::vector<float> OnednnExecutor::kept_values(int slot, int layer) const {
  const auto kept = kept_.find(slot);
  return kept == kept_.end() ? layer_values(slot, layer) : kept->second;
}

LayerView OnednnExecutor::view_before(const Stretch& stretch, bool backward) const {
  const Program& program = current();
  const Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const GroupSlots& slots = program.group_slots[static_cast<std::size_t>(stretch.group)];
  const Layer& head = graph_.layer(group.head);
  LayerView view;
  view.layer = group.last();
  view.backward = backward;
  view.fused = group.members();
  view.winograd = backward ? slots.winograd.data : slots.winograd.forward;
  view.winograd_weights = slots.winograd.weights;
  if (!computes(stretch, backward)) return view;
  for (std::size_t i = 0; i < head.inputs.size(); ++i)
    view.inputs.push_back(backward ? kept_values(slots.inputs[i], head.inputs[i])
                                   : layer_values(slots.inputs[i], head.inputs[i]));
  if (group.norm >= 0) {
    auto& store = const_cast<ParameterStore&>(store_);
    view.parameters = {folded_weights(graph_, store, head, graph_.layer(group.norm)),
                       folded_bias(graph_, store, head, graph_.layer(group.norm))};
  } else {
    for (const int p : head.parameters) {
      view.parameters.emplace_back(
          static_cast<std::size_t>(graph_.parameters()[static_cast<std::size_t>(p)].count()));
      store_.read(p, view.parameters.back());
    }
  }
  if (backward && head.op != Op::softmax_cross_entropy) {
    view.output = kept_values(slots.output, group.last());
    view.output_gradient = layer_values(slots.output_gradient, group.last());
  }
  // What the primitives read is bf16, also where it is kept in f32 (images, master weights, the loss's
  // gradient).
  if (options_.precision == Precision::bf16 && head.op != Op::softmax_cross_entropy) {
    for (std::vector<float>& input : view.inputs) round_to_bf16(input);
    round_to_bf16(view.output_gradient);
    if (head.op != Op::batch_norm && !view.parameters.empty()) round_to_bf16(view.parameters.front());
  }
  return view;
}

void OnednnExecutor::view_after(const Stretch& stretch, bool backward, LayerView& view) const {
  const Program& program = current();
  const Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const GroupSlots& slots = program.group_slots[static_cast<std::size_t>(stretch.group)];
  const Layer& head = graph_.layer(group.head);
  if (head.op == Op::softmax_cross_entropy)
    view.output = {static_cast<float>(program.state.loss)};
  else if (!backward)
    view.output = layer_values(slots.output, group.last());
  if (slots.mean >= 0) {
    const Desc channel = plain({head.out.channels}, Type::f32);
    view.mean = canonical(slots.mean, channel);
    view.variance = canonical(slots.variance, channel);
  }
  if (slots.mask >= 0) {
    // The mask has the layout of the data: spread over a tensor of it, then brought into order.
    const Memory& mask = program.slots[static_cast<std::size_t>(slots.mask)].memory;
    const auto* keep = static_cast<const std::uint8_t*>(mask.get_data_handle());
    const Desc layout = program.slots[static_cast<std::size_t>(slots.output)].desc;
    const bool wide = type_in(layout) == Type::f32;
    const auto scale = static_cast<float>(1 / (1 - head.rate));
    Memory spread(layout, engine());
    for (std::size_t i = 0; i < bytes_of(layout) / (wide ? 4 : 2); ++i) {
      const float value = keep[i] != 0 ? scale : 0.0F;
      if (wide)
        static_cast<float*>(spread.get_data_handle())[i] = value;
      else
        static_cast<std::uint16_t*>(spread.get_data_handle())[i] = to_bf16(value);
    }
    view.mask.resize(static_cast<std::size_t>(program.batch) *
                     static_cast<std::size_t>(head.out.count()));
    copy(spread, Memory(plain(dims_of(layout), Type::f32), engine(), view.mask.data()));
  }
  if (!backward) return;
  for (std::size_t i = 0; i < head.inputs.size(); ++i)
    view.input_gradients.push_back(slots.input_gradients[i] < 0
                                       ? std::vector<float>()
                                       : layer_values(slots.input_gradients[i], head.inputs[i]));
  if (!head.trainable) return;
  for (const int p : head.parameters) {
    view.parameter_gradients.emplace_back(
        static_cast<std::size_t>(graph_.parameters()[static_cast<std::size_t>(p)].count()));
    store_.read_gradient(p, view.parameter_gradients.back());
  }
}

void OnednnExecutor::apply_corruption(const Stretch& stretch, bool backward) {
  if (corruption_.layer < 0 || corruption_.backward != backward || stretch.begin == stretch.end) return;
  Program& program = current();
  const Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const std::vector<int> members = group.members();
  if (std::find(members.begin(), members.end(), corruption_.layer) == members.end()) return;
  if (backward) {
    const Layer& head = graph_.layer(group.head);
    if (head.parameters.empty()) return;
    float* gradients = store_.gradients(head.parameters.front());
    if (gradients == nullptr) throw Error(ExitCode::case_failed, head.name + " is not trained");
    gradients[0] = corruption_.value;
    return;
  }
  const Memory& memory = program
                             .slots[static_cast<std::size_t>(
                                 program.group_slots[static_cast<std::size_t>(stretch.group)].output)]
                             .memory;
  if (type_in(memory.get_desc()) == Type::f32)
    *static_cast<float*>(memory.get_data_handle()) = corruption_.value;
  else
    *static_cast<std::uint16_t*>(memory.get_data_handle()) = to_bf16(corruption_.value);
}

std::string OnednnExecutor::first_not_finite() const {
  for (std::size_t p = 0; p < graph_.parameters().size(); ++p) {
    std::vector<float> values(static_cast<std::size_t>(graph_.parameters()[p].count()));
    store_.read(static_cast<int>(p), values);
    if (!all_finite(values)) return graph_.parameters()[p].name;
  }
  if (current_ == nullptr) return {};
  // Others have given their place to later tensors by now.
  const int end = current().forward.back().end;
  for (const Stretch& s : current().forward) {
    const Group& group = current().groups[static_cast<std::size_t>(s.group)];
    const int output = current().group_slots[static_cast<std::size_t>(s.group)].output;
    const Layer& head = graph_.layer(group.head);
    if (output < 0 || head.op == Op::softmax_cross_entropy) continue;
    const Slot& slot = current().slots[static_cast<std::size_t>(output)];
    if (slot.home == Home::arena && slot.last < end) continue;
    if (!all_finite(layer_values(output, group.last())))
      return head.op == Op::input ? "the images" : "output of " + graph_.layer(group.last()).name;
  }
  return {};
}

}  // namespace dlscale::nn::onednn
