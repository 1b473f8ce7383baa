// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>

#include "nn/onednn/builder.hpp"
#include "nn/onednn/host_ops.hpp"

namespace dlscale::nn::onednn {

void Builder::backward() {
  for (int i = static_cast<int>(program_.groups.size()); i-- > 0;) {
    const int begin = static_cast<int>(program_.steps.size());
    backward_group(i);
    program_.group_slots[static_cast<std::size_t>(i)].winograd = made(i).winograd;
    program_.backward.push_back(
        {.group = i, .begin = begin, .end = static_cast<int>(program_.steps.size())});
  }
}

void Builder::backward_group(int index) {
  const Group& group = program_.groups[static_cast<std::size_t>(index)];
  const Layer& head = layer(group.head);
  GroupSlots& slots = program_.group_slots[static_cast<std::size_t>(index)];
  slots.input_gradients.assign(head.inputs.size(), -1);
  if (head.op == Op::input || !graph_.needs_gradient(group.last())) return;
  slots.output_gradient = gradient(group.last()).slot;
  begin_piece(group, Pass::backward);
  switch (head.op) {
    case Op::conv:
      return conv_backward(group, made(index));
    case Op::dense:
      return dense_backward(group, made(index));
    case Op::batch_norm:
      return norm_backward_group(group, made(index));
    case Op::max_pool:
    case Op::avg_pool:
    case Op::global_avg_pool:
      return pool_backward_group(group, made(index));
    case Op::dropout:
      return dropout_backward(group, made(index));
    case Op::softmax_cross_entropy:
      return contribute(group, 0, made(index).loss_gradient);
    case Op::relu: {
      const Tensor own = ensure(gradient(group.head), value(group.head).desc);
      const auto pd = relu_backward(own.desc, value(group.head).desc, *made(index).relu);
      const Tensor target = make_tensor(own.desc);
      emit(pd, dnnl::eltwise_backward(pd),
           {argument(DNNL_ARG_DST, value(group.head)), argument(DNNL_ARG_DIFF_DST, own),
            argument(DNNL_ARG_DIFF_SRC, target)});
      return contribute(group, 0, target);
    }
    default:
      return spread_backward(group);
  }
}

// Through the ReLU that was fused into a convolution or dense layer: its output says what passes.
Builder::Tensor Builder::output_gradient(const Group& group) {
  Tensor own = gradient(group.last());
  if (group.relu < 0) return own;
  const Tensor output = value(group.last());
  own = ensure(own, output.desc);
  const auto hint = relu_forward(Prop::forward_training, output.desc);
  const auto pd = relu_backward(own.desc, output.desc, hint);
  const Tensor target = make_tensor(own.desc);
  emit(pd, dnnl::eltwise_backward(pd),
       {argument(DNNL_ARG_DST, output), argument(DNNL_ARG_DIFF_DST, own),
        argument(DNNL_ARG_DIFF_SRC, target)});
  return target;
}

// A tensor that several layers read gets the sum of their gradients, each sum in a place of its own: the
// first one may be another tensor's as well.
void Builder::contribute(const Group& group, std::size_t input, const Tensor& own) {
  const int id = layer(group.head).inputs[input];
  views(group).input_gradients[input] = own.slot;
  if (!graph_.needs_gradient(id)) return;
  Tensor& sum = gradient(id);
  if (!sum) {
    sum = own;
    return;
  }
  const Tensor other = ensure(own, sum.desc);
  const Tensor target = make_tensor(sum.desc);
  const auto pd = sum_of(sum.desc, other.desc, target.desc);
  emit(pd, dnnl::binary(pd),
       {argument(DNNL_ARG_SRC_0, sum), argument(DNNL_ARG_SRC_1, other), argument(DNNL_ARG_DST, target)});
  sum = target;
}

// Where a primitive leaves a parameter's gradient: in the bucket itself if the layouts agree.
Builder::Tensor Builder::gradient_target(int index, const Desc& desc) {
  store_.claim(index, desc);
  if (store_.layout(index) != desc) return make_tensor(desc);
  const Tensor tensor = make_tensor(desc, Home::gradient);
  slot(tensor).parameter = index;
  return tensor;
}

void Builder::finish_gradient(int index, const Tensor& computed) {
  if (slot(computed).home == Home::gradient) return;
  const Tensor target = make_tensor(store_.layout(index), Home::gradient);
  slot(target).parameter = index;
  const auto pd = reorder(computed.desc, target.desc);
  emit(pd, dnnl::reorder(pd), {argument(DNNL_ARG_FROM, computed), argument(DNNL_ARG_TO, target)});
}

void Builder::conv_backward(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const ConvFacts facts =
      conv_facts(program_.batch, head.in, head.out.channels, head.groups, head.window);
  const auto refuse = [&] {
    throw Error(ExitCode::case_failed, fmt::format("gradients of layer {} can't be computed", head.name),
                "oneDNN has no convolution for it");
  };
  begin_piece(group, head.trainable ? Pass::backward_weights : Pass::backward_data);
  const Tensor own = output_gradient(group);
  if (head.trainable) {
    const Desc bias = head.bias ? plain(facts.bias, Type::f32) : Desc();
    const auto make = [&](Algorithm algorithm) {
      return conv_backward_weights(algorithm, facts, any(facts.src, type_),
                                   any(facts.weights, Type::f32), bias, any(facts.dst, type_),
                                   *made.conv);
    };
    const auto pd = fastest(head, made.winograd.weights, make);
    if (!pd) refuse();
    const Tensor source = ensure(value(head.inputs.front()), pd->src_desc());
    const Tensor output = ensure(own, pd->diff_dst_desc());
    const Tensor weights = gradient_target(head.parameters[0], pd->diff_weights_desc());
    std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, source),
                                       argument(DNNL_ARG_DIFF_DST, output),
                                       argument(DNNL_ARG_DIFF_WEIGHTS, weights)};
    if (head.bias)
      arguments.push_back(argument(DNNL_ARG_DIFF_BIAS, gradient_target(head.parameters[1], bias)));
    emit(*pd, dnnl::convolution_backward_weights(*pd), std::move(arguments));
    finish_gradient(head.parameters[0], weights);
  }
  if (!graph_.needs_gradient(head.inputs.front())) return;
  begin_piece(group, Pass::backward_data);
  const auto make = [&](Algorithm algorithm) {
    return conv_backward_data(algorithm, facts, any(facts.src, type_), any(facts.weights, type_),
                              any(facts.dst, type_), *made.conv);
  };
  const auto pd = fastest(head, made.winograd.data, make);
  if (!pd) refuse();
  const Tensor output = ensure(own, pd->diff_dst_desc());
  const Tensor weights = parameter(head.parameters[0], pd->weights_desc());
  const Tensor target = make_tensor(pd->diff_src_desc());
  emit(*pd, dnnl::convolution_backward_data(*pd),
       {argument(DNNL_ARG_DIFF_DST, output), argument(DNNL_ARG_WEIGHTS, weights),
        argument(DNNL_ARG_DIFF_SRC, target)});
  contribute(group, 0, target);
}

void Builder::dense_backward(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  begin_piece(group, head.trainable ? Pass::backward_weights : Pass::backward_data);
  Tensor own = output_gradient(group);
  const Dims source_dims = dims_of(made.source.desc), target_dims = dims_of(value(group.last()).desc);
  Dims weight_dims = source_dims;
  weight_dims.front() = head.out.channels;
  own = ensure(own, plain(target_dims, type_));  // of another type behind the loss
  if (head.trainable) {
    const Desc bias = head.bias ? plain({head.out.channels}, Type::f32) : Desc();
    const auto make = [&](const Desc& source) {
      return dense_backward_weights(source, any(weight_dims, Type::f32), bias, own.desc, *made.dense);
    };
    const auto pd = make(made.source.desc);
    const Tensor weights = gradient_target(head.parameters[0], pd.diff_weights_desc());
    std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, made.source),
                                       argument(DNNL_ARG_DIFF_DST, own),
                                       argument(DNNL_ARG_DIFF_WEIGHTS, weights)};
    if (head.bias)
      arguments.push_back(argument(DNNL_ARG_DIFF_BIAS, gradient_target(head.parameters[1], bias)));
    emit(pd, dnnl::inner_product_backward_weights(pd), std::move(arguments));
    finish_gradient(head.parameters[0], weights);
  }
  if (!graph_.needs_gradient(head.inputs.front())) return;
  begin_piece(group, Pass::backward_data);
  const auto pd = dense_backward_data(made.source.desc, any(weight_dims, type_), own.desc, *made.dense);
  const Tensor weights = parameter(head.parameters[0], pd.weights_desc());
  Tensor target = make_tensor(pd.diff_src_desc());
  emit(pd, dnnl::inner_product_backward_data(pd),
       {argument(DNNL_ARG_DIFF_DST, own), argument(DNNL_ARG_WEIGHTS, weights),
        argument(DNNL_ARG_DIFF_SRC, target)});
  if (dims_of(value(head.inputs.front()).desc).size() == 4 && source_dims.size() == 2)
    target.desc = plain(dims(head.in), type_);
  contribute(group, 0, target);
}

void Builder::norm_backward_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const Tensor source = made.source;
  const Tensor own = ensure(gradient(group.last()), value(group.last()).desc);
  const auto pd = norm_backward(own.desc, source.desc, static_cast<float>(head.epsilon), group.relu >= 0,
                                *made.norm);
  const Desc channel = plain({head.out.channels}, Type::f32);
  const Tensor target = make_tensor(pd.diff_src_desc());
  // The library computes all of it at once; a frozen layer's own gradients go to nowhere.
  const auto place = [&](std::size_t i) {
    return head.trainable ? gradient_target(head.parameters[i], channel) : make_tensor(channel);
  };
  std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, source),
                                     argument(DNNL_ARG_MEAN, made.mean),
                                     argument(DNNL_ARG_VARIANCE, made.variance),
                                     argument(DNNL_ARG_SCALE, parameter(head.parameters[0], channel)),
                                     argument(DNNL_ARG_DIFF_DST, own),
                                     argument(DNNL_ARG_DIFF_SRC, target),
                                     argument(DNNL_ARG_DIFF_SCALE, place(0)),
                                     argument(DNNL_ARG_DIFF_SHIFT, place(1))};
  if (norm_backward_takes_shift)
    arguments.push_back(argument(DNNL_ARG_SHIFT, parameter(head.parameters[1], channel)));
  if (made.workspace) arguments.push_back(argument(DNNL_ARG_WORKSPACE, made.workspace));
  emit(pd, dnnl::batch_normalization_backward(pd), std::move(arguments));
  contribute(group, 0, target);
}

void Builder::pool_backward_group(const Group& group, Made& made) {
  const Tensor own = ensure(gradient(group.head), value(group.head).desc);
  const auto pd =
      pool_backward(made.pool_algorithm, made.pool_facts, made.source.desc, own.desc, *made.pool);
  const Tensor target = make_tensor(pd.diff_src_desc());
  std::vector<Argument> arguments = {argument(DNNL_ARG_DIFF_DST, own),
                                     argument(DNNL_ARG_DIFF_SRC, target)};
  if (made.workspace) arguments.push_back(argument(DNNL_ARG_WORKSPACE, made.workspace));
  emit(pd, dnnl::pooling_backward(pd), std::move(arguments));
  contribute(group, 0, target);
}

}  // namespace dlscale::nn::onednn
