// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/builder.hpp"
#include "nn/seeds.hpp"

namespace dlscale::cuda::dnn {

void Builder::backward() {
  for (int i = static_cast<int>(program_.groups.size()); i-- > 0;) {
    const int begin = static_cast<int>(program_.steps.size());
    backward_group(i);
    program_.backward.push_back(
        {.group = i, .begin = begin, .end = static_cast<int>(program_.steps.size())});
  }
}

void Builder::backward_group(int index) {
  const nn::Group& group = program_.groups[static_cast<std::size_t>(index)];
  const nn::Layer& head = layer(group.head);
  GroupTensors& own = program_.tensors[static_cast<std::size_t>(index)];
  own.input_gradients.resize(head.inputs.size());
  if (head.op == nn::Op::input || !machine_.graph.needs_gradient(group.last())) return;
  own.output_gradient = gradient(group.last());
  begin_piece(group, nn::Pass::backward);
  const Made& made = made_[static_cast<std::size_t>(index)];
  switch (head.op) {
    case nn::Op::conv:
      return conv_backward(group, made);
    case nn::Op::dense:
      return dense_backward(group, made);
    case nn::Op::batch_norm:
      return norm_backward(group, index);
    case nn::Op::max_pool:
    case nn::Op::avg_pool:
    case nn::Op::global_avg_pool:
      return pool_backward(group, made);
    case nn::Op::softmax_cross_entropy:
      return contribute(group, 0, made.loss_gradient);
    default:
      return move_backward(group, made);
  }
}

// Through the ReLU that was fused into a convolution or dense layer: its output says what passes.
Tensor Builder::output_gradient(const nn::Group& group) {
  const Tensor own = gradient(group.last());
  if (group.relu < 0) return own;
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor output = value(group.last());
  const Tensor target = tensor(layer(group.last()).out);
  emit(
      [=] {
        relu_backward(m->type, p->at(output), p->at(own), p->at(target), target.dims.count(), m->stream);
      },
      {output.slot, own.slot, target.slot});
  return target;
}

// A tensor that several layers read gets the sum of their gradients, each sum in a place of its own: the
// first one may be another tensor's as well.
void Builder::contribute(const nn::Group& group, std::size_t input, const Tensor& own) {
  const int id = layer(group.head).inputs[input];
  views(group).input_gradients[input] = own;
  if (!machine_.graph.needs_gradient(id)) return;
  Tensor& sum = gradient(id);
  if (!sum) {
    sum = own;
    return;
  }
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor target = tensor(layer(id).out), before = sum;
  emit([=] { add(m->type, p->at(before), p->at(own), p->at(target), target.dims.count(), m->stream); },
       {before.slot, own.slot, target.slot});
  sum = target;
}

void Builder::bias_gradient(const nn::Layer& head, const Tensor& dy) {
  if (!head.bias) return;
  Program* p = &program_;
  Machine* m = &machine_;
  const auto channels = static_cast<unsigned>(head.out.channels);
  float* to = machine_.store.gradients(head.parameters[1]);
  need_scratch(sums_scratch_bytes(dy.dims.rows(), channels));
  emit(
      [=] {
        column_sums(m->type, p->at(dy), dy.dims.rows(), channels, to, m->scratch.data(), m->stream);
      },
      {dy.slot});
}

void Builder::conv_backward(const nn::Group& group, const Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  Convolution* conv = made.conv;
  const Tensor source = made.source;
  begin_piece(group, head.trainable ? nn::Pass::backward_weights : nn::Pass::backward_data);
  const int first_piece = piece_;
  const Tensor dy = output_gradient(group);
  if (head.trainable) {
    float* to = machine_.store.gradients(head.parameters[0]);
    const auto count = static_cast<std::size_t>(
        machine_.graph.parameters()[static_cast<std::size_t>(head.parameters[0])].count());
    // The library leaves the gradient in the type of the activations.
    const bool narrow = machine_.type == Type::bf16;
    const int staged = narrow ? raw(count * bytes_of(Type::bf16)) : -1;
    const auto place = [=]() -> void* { return narrow ? p->at(staged) : to; };
    choose([=, wants = winograd()] {
      conv->choose_weights(m->cudnn, p->at(source), p->at(dy), place(), m->scratch.data(),
                           m->scratch.bytes(), wants, m->known);
      p->scratch_bytes = std::max(p->scratch_bytes, conv->weights_choice().workspace_bytes);
      if (first_piece >= 0)
        p->times[static_cast<std::size_t>(first_piece)].implementation =
            "cudnn:" + conv->weights_choice().name;
    });
    std::vector<int> touched = {source.slot, dy.slot};
    if (narrow) touched.push_back(staged);
    emit(
        [=] {
          conv->backward_weights(m->cudnn, p->at(source), p->at(dy), place(), m->scratch.data());
          if (narrow) convert(Type::bf16, place(), Type::f32, to, count, m->stream);
        },
        std::move(touched), "cudnn");
    bias_gradient(head, dy);
  }
  const int input = head.inputs.front();
  if (!machine_.graph.needs_gradient(input)) return;
  begin_piece(group, nn::Pass::backward_data);
  const void* weights = machine_.store.working(head.parameters[0]);
  const nn::Shape padded{source.dims.c, source.dims.h, source.dims.w};
  const Tensor dx = tensor(padded);
  choose([=, wants = winograd(), piece = piece_] {
    conv->choose_data(m->cudnn, weights, p->at(dy), p->at(dx), m->scratch.data(), m->scratch.bytes(),
                      wants, m->known);
    p->scratch_bytes = std::max(p->scratch_bytes, conv->data_choice().workspace_bytes);
    if (piece >= 0)
      p->times[static_cast<std::size_t>(piece)].implementation = "cudnn:" + conv->data_choice().name;
  });
  emit([=] { conv->backward_data(m->cudnn, weights, p->at(dy), p->at(dx), m->scratch.data()); },
       {dy.slot, dx.slot}, "cudnn");
  if (padded == head.in) return contribute(group, 0, dx);
  const Tensor target = tensor(head.in);
  emit(
      [=, top = static_cast<int>(head.window.pad_top), left = static_cast<int>(head.window.pad_left)] {
        copy_out(m->type, p->at(dx), dx.dims, top, left, 0, p->at(target), target.dims, m->stream);
      },
      {dx.slot, target.slot});
  contribute(group, 0, target);
}

// dW = dYᵀ·X and dX = dY·W, row-major.
void Builder::dense_backward(const nn::Group& group, const Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor source = made.source;
  const std::int64_t outputs = head.out.channels, inputs = head.in.count();
  begin_piece(group, head.trainable ? nn::Pass::backward_weights : nn::Pass::backward_data);
  const Tensor dy = output_gradient(group);
  if (head.trainable) {
    Product* weights = product({.m = inputs, .n = outputs, .k = program_.batch, .trans_b = true}, true);
    float* to = machine_.store.gradients(head.parameters[0]);
    choose([=] { weights->choose(p->at(source), p->at(dy), to, m->stream, place_alignment); });
    emit([=] { weights->run(p->at(source), p->at(dy), to, m->stream); }, {source.slot, dy.slot},
         "cublasLt");
    bias_gradient(head, dy);
  }
  const int input = head.inputs.front();
  if (!machine_.graph.needs_gradient(input)) return;
  begin_piece(group, nn::Pass::backward_data);
  Product* data = product({.m = inputs, .n = program_.batch, .k = outputs}, false);
  const void* weights = machine_.store.working(head.parameters[0]);
  const Tensor dx = tensor(head.in);
  choose([=] { data->choose(weights, p->at(dy), p->at(dx), m->stream, place_alignment); });
  emit([=] { data->run(weights, p->at(dy), p->at(dx), m->stream); }, {dy.slot, dx.slot}, "cublasLt");
  contribute(group, 0, dx);
}

void Builder::norm_backward(const nn::Group& group, int index) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const GroupTensors& own = program_.tensors[static_cast<std::size_t>(index)];
  const Tensor source = made_[static_cast<std::size_t>(index)].source, dy = gradient(group.last());
  const auto channels = static_cast<unsigned>(head.out.channels);
  const bool needed = machine_.graph.needs_gradient(head.inputs.front());
  std::vector<int> touched = {source.slot, dy.slot, own.mean, own.variance};
  const Tensor dx = needed ? tensor(head.in) : Tensor();
  if (needed) touched.push_back(dx.slot);
  // A frozen layer's own gradients go to nowhere.
  float *dgamma = machine_.store.gradients(head.parameters[0]),
        *dbeta = machine_.store.gradients(head.parameters[1]);
  const int nowhere = dgamma == nullptr ? raw(2 * channels * sizeof(float)) : -1;
  if (nowhere >= 0) touched.push_back(nowhere);
  const NormLayer norm{.epsilon = static_cast<float>(head.epsilon),
                       .momentum = 0,
                       .relu = group.relu >= 0,
                       .gamma = machine_.store.values(head.parameters[0]),
                       .beta = machine_.store.values(head.parameters[1])};
  emit(
      [=, mean = own.mean, variance = own.variance] {
        NormLayer placed = norm;
        placed.mean = static_cast<float*>(p->at(mean));
        placed.variance = static_cast<float*>(p->at(variance));
        float *gamma = dgamma, *beta = dbeta;
        if (nowhere >= 0) {
          gamma = static_cast<float*>(p->at(nowhere));
          beta = gamma + channels;
        }
        dnn::norm_backward(m->type, p->at(source), p->at(dy), dx ? p->at(dx) : nullptr,
                           source.dims.rows(), channels, placed, gamma, beta, m->scratch.data(),
                           m->stream);
      },
      std::move(touched));
  if (needed) contribute(group, 0, dx);
}

void Builder::pool_backward(const nn::Group& group, const Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const PoolWindow window = pool_window(head.window);
  const Tensor dy = gradient(group.head), dx = tensor(head.in);
  if (head.op == nn::Op::max_pool) {
    emit(
        [=, places = made.places] {
          max_pool_backward(m->type, p->at(dy), static_cast<const std::uint16_t*>(p->at(places)),
                            dy.dims, p->at(dx), dx.dims, window, m->stream);
        },
        {dy.slot, dx.slot, made.places});
  } else {
    const bool all = head.op == nn::Op::global_avg_pool || head.include_padding;
    emit(
        [=] {
          avg_pool_backward(m->type, p->at(dy), dy.dims, p->at(dx), dx.dims, window, all, m->stream);
        },
        {dy.slot, dx.slot});
  }
  contribute(group, 0, dx);
}

void Builder::move_backward(const nn::Group& group, const Made& made) {
  const nn::Layer& head = layer(group.head);
  Program* p = &program_;
  Machine* m = &machine_;
  const Tensor dy = gradient(group.head);
  if (head.op == nn::Op::add || made.alias) {
    for (std::size_t i = 0; i < head.inputs.size(); ++i) contribute(group, i, dy);
    return;
  }
  if (head.op == nn::Op::relu || head.op == nn::Op::dropout) {
    const Tensor dx = tensor(head.in), output = value(group.head);
    if (head.op == nn::Op::relu)
      emit(
          [=] {
            relu_backward(m->type, p->at(output), p->at(dy), p->at(dx), dx.dims.count(), m->stream);
          },
          {output.slot, dy.slot, dx.slot});
    else
      emit(
          [=, rate = head.rate, key = nn::dropout_layer_key(group.head)] {
            dropout(m->type, p->at(dy), p->at(dx), dx.dims.count(), rate, key, m->inputs.data(),
                    m->stream);
          },
          {dy.slot, dx.slot});
    return contribute(group, 0, dx);
  }
  // concat and zero_pad: every input gets its part.
  int channel = 0;
  for (std::size_t i = 0; i < head.inputs.size(); ++i) {
    const nn::Shape& shape = layer(head.inputs[i]).out;
    if (machine_.graph.needs_gradient(head.inputs[i])) {
      const Tensor dx = tensor(shape);
      emit(
          [=, top = static_cast<int>(head.window.pad_top),
           left = static_cast<int>(head.window.pad_left)] {
            copy_out(m->type, p->at(dy), dy.dims, top, left, channel, p->at(dx), dx.dims, m->stream);
          },
          {dy.slot, dx.slot});
      contribute(group, i, dx);
    }
    if (head.op == nn::Op::concat) channel += static_cast<int>(shape.channels);
  }
}

}  // namespace dlscale::cuda::dnn
