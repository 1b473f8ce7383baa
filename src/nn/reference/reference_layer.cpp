// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/error.hpp"
#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

[[noreturn]] void no_reference(const Layer& layer) {
  throw Error(ExitCode::case_failed, "reference: layer '" + layer.name + "' has no reference",
              std::string(to_string(layer.op)), "");
}

Values add_forward(const ReferenceLayer& l) {
  Values y = l.inputs[0];
  for (std::size_t k = 1; k < l.inputs.size(); ++k)
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += l.inputs[k][i];
  return y;
}

Values relu_forward(const ReferenceLayer& l) {
  Values y = l.inputs[0];
  for (double& v : y) v = v < 0 ? 0 : v;  // NaN stays
  return y;
}

void relu_backward(ReferenceLayer& l, const Values& dy) {
  for (std::size_t i = 0; i < dy.size(); ++i) l.input_gradients[0][i] = l.inputs[0][i] > 0 ? dy[i] : 0;
}

Values masked(const Values& values, const Values& mask) {
  Values out = values;
  if (!mask.empty())
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= mask[i];
  return out;
}

}  // namespace

TapRange tap_range(std::int64_t offset, std::int64_t stride, std::int64_t size, std::int64_t outputs) {
  // 0 ≤ o·stride + offset < size
  const std::int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t last = size <= offset ? 0 : (size - offset + stride - 1) / stride;
  return {std::min(first, outputs), std::clamp(last, std::min(first, outputs), outputs)};
}

Values ReferenceLayer::forward() {
  switch (layer.op) {
    case Op::input:
      return inputs.at(0);
    case Op::conv:
      return conv_forward(*this);
    case Op::batch_norm:
      return batch_norm_forward(*this);
    case Op::relu:
      return relu_forward(*this);
    case Op::max_pool:
      return max_pool_forward(*this);
    case Op::avg_pool:
    case Op::global_avg_pool:
      return avg_pool_forward(*this);
    case Op::dense:
      return dense_forward(*this);
    case Op::dropout:
      return masked(inputs[0], mask);
    case Op::add:
      return add_forward(*this);
    case Op::concat:
      return concat_forward(*this);
    case Op::zero_pad:
      return zero_pad_forward(*this);
    case Op::softmax_cross_entropy:
      return loss_forward(*this);
  }
  no_reference(layer);
}

void ReferenceLayer::backward(const Values& dy) {
  const auto zeros_like = [](const std::vector<Values>& of) {
    std::vector<Values> zeros;
    for (const Values& v : of) zeros.emplace_back(v.size(), 0.0);
    return zeros;
  };
  input_gradients = zeros_like(inputs);
  parameter_gradients = zeros_like(parameters);
  switch (layer.op) {
    case Op::input:
      input_gradients[0] = dy;
      return;
    case Op::conv:
      return conv_backward(*this, dy);
    case Op::batch_norm:
      return batch_norm_backward(*this, dy);
    case Op::relu:
      return relu_backward(*this, dy);
    case Op::max_pool:
      return max_pool_backward(*this, dy);
    case Op::avg_pool:
    case Op::global_avg_pool:
      return avg_pool_backward(*this, dy);
    case Op::dense:
      return dense_backward(*this, dy);
    case Op::dropout:
      input_gradients[0] = masked(dy, mask);
      return;
    case Op::add:
      std::fill(input_gradients.begin(), input_gradients.end(), dy);
      return;
    case Op::concat:
      return concat_backward(*this, dy);
    case Op::zero_pad:
      return zero_pad_backward(*this, dy);
    case Op::softmax_cross_entropy:
      return loss_backward(*this, dy);
  }
  no_reference(layer);
}

}  // namespace dlscale::nn
