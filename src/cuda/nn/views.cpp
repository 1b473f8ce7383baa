// SPDX-License-Identifier: BSD-3-Clause
// What checks see: tensors as float32 in canonical layout.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "cuda/nn/cudnn_executor.hpp"
#include "cuda/nn/fold.hpp"
#include "device/random.hpp"
#include "nn/channels_last.hpp"
#include "nn/seeds.hpp"

namespace dlscale::cuda::dnn {
namespace {

float from_bf16(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
}

// To nearest even, as __float2bfloat16.
float round_to_bf16(float value) {
  if (!std::isfinite(value)) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return from_bf16(static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U));
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

std::vector<float> CudnnExecutor::host_values(const Tensor& tensor) const {
  if (!tensor) return {};
  const std::size_t count = tensor.dims.count();
  std::vector<std::byte> raw(count * bytes_of(tensor.type));
  DLSCALE_CUDA(cudaMemcpyAsync(raw.data(), current().at(tensor), raw.size(), cudaMemcpyDeviceToHost,
                               machine_.stream.get()));
  machine_.stream.wait();
  std::vector<float> own(count), canonical(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (tensor.type == Type::f32)
      std::memcpy(&own[i], &raw[4 * i], 4);
    else {
      std::uint16_t half = 0;
      std::memcpy(&half, &raw[2 * i], 2);
      own[i] = from_bf16(half);
    }
  }
  nn::from_channels_last(std::span<const float>(own), {tensor.dims.c, tensor.dims.h, tensor.dims.w},
                         std::span(canonical));
  return canonical;
}

std::vector<float> CudnnExecutor::channel_values(const float* values, std::int64_t channels) const {
  std::vector<float> host(static_cast<std::size_t>(channels));
  DLSCALE_CUDA(cudaMemcpyAsync(host.data(), values, host.size() * sizeof(float), cudaMemcpyDeviceToHost,
                               machine_.stream.get()));
  machine_.stream.wait();
  return host;
}

// Not stored on the device, where it is computed anew from the key.
std::vector<float> CudnnExecutor::mask_of(const nn::Layer& layer, int id) const {
  const auto limit = static_cast<std::uint64_t>(std::lround(layer.rate * 65536));
  const auto scale = static_cast<float>(1 / (1 - layer.rate));
  const std::uint64_t key = dropout_key_ ^ nn::dropout_layer_key(id);
  std::vector<float> own(static_cast<std::size_t>(current().batch) *
                         static_cast<std::size_t>(layer.out.count())),
      canonical(own.size());
  for (std::size_t i = 0; i < own.size(); ++i)
    own[i] = ((bits_at(key, i / 4) >> (16 * (i % 4))) & 0xffffU) >= limit ? scale : 0.0F;
  nn::from_channels_last(std::span<const float>(own), layer.out, std::span(canonical));
  return canonical;
}

// Whether there is something to look at. The loss's gradient is made in the forward pass, by its one
// step, and shown where it belongs.
bool CudnnExecutor::computes(const Stretch& stretch, bool backward) const {
  if (stretch.begin != stretch.end) return true;
  const nn::Group& group = current().groups[static_cast<std::size_t>(stretch.group)];
  return backward && machine_.graph.layer(group.head).op == nn::Op::softmax_cross_entropy &&
         machine_.graph.needs_gradient(group.head);
}

nn::LayerView CudnnExecutor::view_before(const Stretch& stretch, bool backward) const {
  const Program& program = current();
  const nn::Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const GroupTensors& tensors = program.tensors[static_cast<std::size_t>(stretch.group)];
  const nn::Layer& head = machine_.graph.layer(group.head);
  nn::LayerView view;
  view.layer = group.last();
  view.backward = backward;
  view.fused = group.members();
  if (const Convolution* conv = tensors.convolution; conv != nullptr) {
    view.winograd = backward ? conv->data_choice().winograd : conv->forward_choice().winograd;
    view.winograd_weights = conv->weights_choice().winograd;
  }
  if (!computes(stretch, backward)) return view;
  for (const Tensor& input : tensors.inputs) view.inputs.push_back(host_values(input));
  if (group.norm >= 0)
    view.parameters = {folded_weights(machine_.graph, machine_.store, group.head, group.norm),
                       folded_bias(machine_.graph, machine_.store, group.head, group.norm)};
  else
    for (const int p : head.parameters) view.parameters.push_back(machine_.store.read(p));
  if (backward && head.op != nn::Op::softmax_cross_entropy) {
    view.output = host_values(tensors.output);
    view.output_gradient = host_values(tensors.output_gradient);
  }
  // What cuDNN reads of a convolution is bf16, its bias as well; of a dense layer the weights.
  if (machine_.type == Type::bf16 && (head.op == nn::Op::conv || head.op == nn::Op::dense)) {
    const std::size_t rounded = head.op == nn::Op::conv ? view.parameters.size() : 1;
    for (std::size_t i = 0; i < std::min(rounded, view.parameters.size()); ++i)
      for (float& value : view.parameters[i]) value = round_to_bf16(value);
  }
  return view;
}

void CudnnExecutor::view_after(const Stretch& stretch, bool backward, nn::LayerView& view) const {
  const Program& program = current();
  const nn::Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const GroupTensors& tensors = program.tensors[static_cast<std::size_t>(stretch.group)];
  const nn::Layer& head = machine_.graph.layer(group.head);
  if (head.op == nn::Op::softmax_cross_entropy)
    view.output = {static_cast<float>(results().loss)};
  else if (!backward)
    view.output = host_values(tensors.output);
  if (tensors.mean >= 0) {
    const bool running = program.mode == nn::Mode::inference;
    const auto* mean = running ? machine_.store.running_mean(group.head)
                               : static_cast<const float*>(program.at(tensors.mean));
    const auto* variance = running ? machine_.store.running_variance(group.head)
                                   : static_cast<const float*>(program.at(tensors.variance));
    view.mean = channel_values(mean, head.out.channels);
    view.variance = channel_values(variance, head.out.channels);
  }
  if (head.op == nn::Op::dropout && head.rate > 0 && program.mode == nn::Mode::training)
    view.mask = mask_of(head, group.head);
  if (!backward) return;
  for (const Tensor& gradient : tensors.input_gradients)
    view.input_gradients.push_back(host_values(gradient));
  if (!head.trainable) return;
  for (const int p : head.parameters)
    view.parameter_gradients.push_back(machine_.store.read_gradient(p));
}

void CudnnExecutor::apply_corruption(const Stretch& stretch, bool backward) {
  if (corruption_.layer < 0 || corruption_.backward != backward || stretch.begin == stretch.end) return;
  const Program& program = current();
  const nn::Group& group = program.groups[static_cast<std::size_t>(stretch.group)];
  const std::vector<int> members = group.members();
  if (std::find(members.begin(), members.end(), corruption_.layer) == members.end()) return;
  const auto put = [&](void* to, const void* value, std::size_t bytes) {
    DLSCALE_CUDA(cudaMemcpyAsync(to, value, bytes, cudaMemcpyHostToDevice, machine_.stream.get()));
    machine_.stream.wait();
  };
  if (backward) {
    const nn::Layer& head = machine_.graph.layer(group.head);
    if (head.parameters.empty()) return;
    float* gradients = machine_.store.gradients(head.parameters.front());
    if (gradients == nullptr) throw Error(ExitCode::case_failed, head.name + " is not trained");
    put(gradients, &corruption_.value, sizeof(float));
    return;
  }
  const Tensor& output = program.tensors[static_cast<std::size_t>(stretch.group)].output;
  if (output.type == Type::f32) return put(program.at(output), &corruption_.value, sizeof(float));
  const auto half =
      static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(round_to_bf16(corruption_.value)) >> 16U);
  put(program.at(output), &half, sizeof half);
}

std::string CudnnExecutor::first_not_finite() const {
  for (std::size_t p = 0; p < machine_.graph.parameters().size(); ++p)
    if (!all_finite(machine_.store.read(static_cast<int>(p))))
      return machine_.graph.parameters()[p].name;
  if (current_ == nullptr) return {};
  // In inference others have given their place to later tensors by now.
  const int end = current().forward.back().end;
  for (const Stretch& s : current().forward) {
    const nn::Group& group = current().groups[static_cast<std::size_t>(s.group)];
    const Tensor& output = current().tensors[static_cast<std::size_t>(s.group)].output;
    const nn::Layer& head = machine_.graph.layer(group.head);
    if (!output || head.op == nn::Op::softmax_cross_entropy) continue;
    if (current().slots[static_cast<std::size_t>(output.slot)].last < end - 1) continue;
    if (!all_finite(host_values(output)))
      return head.op == nn::Op::input ? "the images"
                                      : "output of " + machine_.graph.layer(group.last()).name;
  }
  return {};
}

}  // namespace dlscale::cuda::dnn
