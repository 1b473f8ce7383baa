// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include "cuda/nn/builder.hpp"
#include "cuda/nn/fold.hpp"
#include "nn/channels_last.hpp"
#include "nn/seeds.hpp"

namespace dlscale::cuda::dnn {
namespace {

bool symmetric(const nn::Window& w) {
  return w.pad_top == w.pad_bottom && w.pad_left == w.pad_right;
}

}  // namespace

void Builder::forward() {
  for (int i = 0; i < static_cast<int>(program_.groups.size()); ++i) {
    const int begin = static_cast<int>(program_.steps.size());
    forward_group(i);
    program_.forward.push_back(
        {.group = i, .begin = begin, .end = static_cast<int>(program_.steps.size())});
  }
}

void Builder::forward_group(int index) {
  const nn::Group& group = program_.groups[static_cast<std::size_t>(index)];
  const nn::Layer& head = layer(group.head);
  Made& made = made_[static_cast<std::size_t>(index)];
  begin_piece(group, nn::Pass::forward);
  for (const int input : head.inputs) views(group).inputs.push_back(value(input));
  switch (head.op) {
    case nn::Op::input:
      value(group.head) = program_.input = tensor(head.out);
      break;
    case nn::Op::conv:
      conv_forward(group, made);
      break;
    case nn::Op::dense:
      dense_forward(group, made);
      break;
    case nn::Op::batch_norm:
      norm_forward(group, index);
      break;
    case nn::Op::max_pool:
    case nn::Op::avg_pool:
    case nn::Op::global_avg_pool:
      pool_forward(group, made);
      break;
    case nn::Op::softmax_cross_entropy:
      loss_forward(group, made);
      break;
    default:
      move_forward(group, made);
      break;
  }
  for (const int member : group.members()) value(member) = value(group.last());
  views(group).output = value(group.last());
}

std::pair<const void*, const void*> Builder::folded(const nn::Layer& conv, const nn::Group& group) {
  Machine* m = &machine_;
  const nn::Parameter& weight =
      machine_.graph.parameters()[static_cast<std::size_t>(conv.parameters[0])];
  const auto weights = [m, head = group.head, norm = group.norm, &weight] {
    const std::vector<float> canonical = folded_weights(m->graph, m->store, head, norm);
    std::vector<float> own(canonical.size());
    nn::to_channels_last(std::span<const float>(canonical), nn::parameter_block(m->graph, weight),
                         std::span(own));
    return own;
  };
  const auto bias = [m, head = group.head, norm = group.norm] {
    return folded_bias(m->graph, m->store, head, norm);
  };
  return {owned(static_cast<std::size_t>(weight.count()), weights),
          owned(static_cast<std::size_t>(conv.out.channels), bias)};
}

void Builder::conv_forward(const nn::Group& group, Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  ConvShape shape{.batch = program_.batch,
                  .in = head.in,
                  .filters = head.out.channels,
                  .groups = head.groups,
                  .window = head.window,
                  .type = machine_.type};
  Tensor source = value(head.inputs.front());
  if (!symmetric(head.window)) {
    // cuDNN pads opposite sides alike: the zeros are written.
    nn::Window& w = shape.window;
    shape.in.height += w.pad_top + w.pad_bottom;
    shape.in.width += w.pad_left + w.pad_right;
    const Tensor padded = tensor(shape.in);
    emit(
        [=, top = static_cast<int>(w.pad_top), left = static_cast<int>(w.pad_left)] {
          pad(m->type, p->at(source), source.dims, p->at(padded), padded.dims, top, left, m->stream);
        },
        {source.slot, padded.slot});
    w.pad_top = w.pad_bottom = w.pad_left = w.pad_right = 0;
    source = padded;
  }
  const bool biased = head.bias || group.norm >= 0;
  program_.convolutions.push_back(std::make_unique<Convolution>(shape, biased, group.relu >= 0));
  Convolution* conv = program_.convolutions.back().get();
  const void *weights = nullptr, *bias = nullptr;
  if (group.norm >= 0) {
    std::tie(weights, bias) = folded(head, group);
  } else {
    weights = machine_.store.working(head.parameters[0]);
    if (biased) bias = machine_.store.working(head.parameters[1]);
  }
  const Tensor target = tensor(head.out);
  choose([=, this_winograd = winograd(), piece = piece_] {
    conv->choose_forward(m->cudnn, p->at(source), weights, bias, p->at(target), m->scratch.data(),
                         m->scratch.bytes(), this_winograd, m->known, m->stream);
    p->scratch_bytes = std::max(p->scratch_bytes, conv->forward_choice().workspace_bytes);
    if (piece >= 0)
      p->times[static_cast<std::size_t>(piece)].implementation =
          "cudnn:" + conv->forward_choice().name + (conv->forward_choice().fused ? "+bias" : "");
  });
  emit(
      [=] {
        conv->forward(m->cudnn, p->at(source), weights, bias, p->at(target), m->scratch.data(),
                      m->stream);
      },
      {source.slot, target.slot}, "cudnn");
  made.conv = conv;
  made.source = source;
  views(group).convolution = conv;
  value(group.last()) = target;
}

// Y = X·Wᵀ in f32, then bias, ReLU and rounding in one pass: rounded once.
void Builder::dense_forward(const nn::Group& group, Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor source = value(head.inputs.front());
  // The logits stay f32: the loss is computed from them.
  const std::vector<int> users = machine_.graph.users(group.last());
  const bool logits = users.size() == 1 && layer(users.front()).op == nn::Op::softmax_cross_entropy;
  const Tensor target = tensor(head.out, logits ? Type::f32 : machine_.type);
  const Tensor sums = target.type == Type::f32 ? target : tensor(head.out, Type::f32);
  const std::int64_t outputs = head.out.channels, inputs = head.in.count();
  Product* forward = product({.m = outputs, .n = program_.batch, .k = inputs, .trans_a = true}, true);
  const void* weights = machine_.store.working(head.parameters[0]);
  const float* bias = head.bias ? machine_.store.values(head.parameters[1]) : nullptr;
  choose([=] { forward->choose(weights, p->at(source), p->at(sums), m->stream, place_alignment); });
  emit(
      [=, relu = group.relu >= 0, rows = static_cast<unsigned>(program_.batch)] {
        forward->run(weights, p->at(source), p->at(sums), m->stream);
        bias_relu(static_cast<const float*>(p->at(sums)), bias, relu, target.type, p->at(target), rows,
                  static_cast<unsigned>(outputs), m->stream);
      },
      {source.slot, sums.slot, target.slot}, "cublasLt");
  made.source = source;
  value(group.last()) = target;
}

void Builder::norm_forward(const nn::Group& group, int index) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor source = value(head.inputs.front()), target = tensor(head.out);
  const auto channels = static_cast<unsigned>(head.out.channels);
  const unsigned rows = source.dims.rows();
  GroupTensors& own = program_.tensors[static_cast<std::size_t>(index)];
  own.mean = raw(channels * sizeof(float));
  own.variance = raw(channels * sizeof(float));
  need_scratch(sums_scratch_bytes(rows, channels));
  NormLayer norm{.epsilon = static_cast<float>(head.epsilon),
                 .momentum = static_cast<float>(head.momentum),
                 .relu = group.relu >= 0,
                 .gamma = machine_.store.values(head.parameters[0]),
                 .beta = machine_.store.values(head.parameters[1]),
                 .mean = nullptr,
                 .variance = nullptr,
                 .running_mean = machine_.store.running_mean(group.head),
                 .running_variance = machine_.store.running_variance(group.head)};
  value(group.last()) = target;
  made_[static_cast<std::size_t>(index)].source = source;
  if (!training()) {
    emit([=] { norm_inference(m->type, p->at(source), p->at(target), rows, channels, norm, m->stream); },
         {source.slot, target.slot});
    return;
  }
  emit(
      [=, mean = own.mean, variance = own.variance] {
        NormLayer placed = norm;
        placed.mean = static_cast<float*>(p->at(mean));
        placed.variance = static_cast<float*>(p->at(variance));
        norm_training(m->type, p->at(source), p->at(target), rows, channels, placed, m->scratch.data(),
                      m->stream);
      },
      {source.slot, target.slot, own.mean, own.variance});
}

void Builder::pool_forward(const nn::Group& group, Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor source = value(head.inputs.front()), target = tensor(head.out);
  const PoolWindow window = pool_window(head.window);
  made.source = source;
  value(group.head) = target;
  if (head.op != nn::Op::max_pool) {
    const bool all = head.op == nn::Op::global_avg_pool || head.include_padding;
    emit(
        [=] {
          avg_pool_forward(m->type, p->at(source), source.dims, p->at(target), target.dims, window, all,
                           m->stream);
        },
        {source.slot, target.slot});
    return;
  }
  std::vector<int> touched = {source.slot, target.slot};
  if (training()) {
    if (head.window.kernel_h * head.window.kernel_w > 65535)
      throw Error(ExitCode::case_failed, fmt::format("the window of {} is too large", head.name),
                  "a pool on the GPU has at most 65535 pixels");
    made.places = raw(target.dims.count() * sizeof(std::uint16_t));
    touched.push_back(made.places);
  }
  emit(
      [=, places = made.places] {
        auto* where = places < 0 ? nullptr : static_cast<std::uint16_t*>(p->at(places));
        max_pool_forward(m->type, p->at(source), source.dims, p->at(target), where, target.dims, window,
                         m->stream);
      },
      std::move(touched));
}

void Builder::move_forward(const nn::Group& group, Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor source = value(head.inputs.front());
  if (head.op == nn::Op::dropout && (!training() || head.rate <= 0)) {
    made.alias = true;
    value(group.head) = source;
    return;
  }
  const Tensor target = tensor(head.out);
  value(group.head) = target;
  const std::size_t count = target.dims.count();
  if (head.op == nn::Op::relu) {
    emit([=] { relu_forward(m->type, p->at(source), p->at(target), count, m->stream); },
         {source.slot, target.slot});
  } else if (head.op == nn::Op::dropout) {
    emit(
        [=, rate = head.rate, key = nn::dropout_layer_key(group.head)] {
          dropout(m->type, p->at(source), p->at(target), count, rate, key, m->inputs.data(), m->stream);
        },
        {source.slot, target.slot});
  } else if (head.op == nn::Op::add) {
    const Tensor other = value(head.inputs[1]);
    emit([=] { add(m->type, p->at(source), p->at(other), p->at(target), count, m->stream); },
         {source.slot, other.slot, target.slot});
  } else if (head.op == nn::Op::zero_pad) {
    emit(
        [=, top = static_cast<int>(head.window.pad_top), left = static_cast<int>(head.window.pad_left)] {
          pad(m->type, p->at(source), source.dims, p->at(target), target.dims, top, left, m->stream);
        },
        {source.slot, target.slot});
  } else {  // concat
    int channel = 0;
    for (const int input : head.inputs) {
      const Tensor part = value(input);
      emit(
          [=] {
            copy_in(m->type, p->at(part), part.dims, p->at(target), target.dims, 0, 0, channel,
                    m->stream);
          },
          {part.slot, target.slot});
      channel += part.dims.c;
    }
  }
}

void Builder::loss_forward(const nn::Group& group, Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor logits = program_.logits = value(head.inputs.front());
  std::vector<int> touched = {logits.slot};
  if (training()) {
    made.loss_gradient = tensor(head.in);
    touched.push_back(made.loss_gradient.slot);
  }
  need_scratch(loss_scratch_bytes(program_.batch));
  emit(
      [=, gradient = made.loss_gradient, classes = static_cast<int>(head.in.count())] {
        softmax_cross_entropy(logits.type, p->at(logits), m->labels.data(), p->batch, classes, m->type,
                              gradient ? p->at(gradient) : nullptr, m->scratch.data(), m->results.data(),
                              m->stream);
      },
      std::move(touched));
  value(group.head) = logits;
}

}  // namespace dlscale::cuda::dnn
