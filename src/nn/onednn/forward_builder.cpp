// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "nn/onednn/builder.hpp"
#include "nn/onednn/fold.hpp"
#include "nn/onednn/host_ops.hpp"

namespace dlscale::nn::onednn {
namespace {

Dims strides_of(const Window& w) {
  return {w.stride_h, w.stride_w};
}

}  // namespace

void Builder::forward() {
  for (int i = 0; i < static_cast<int>(program_.groups.size()); ++i) {
    const int begin = static_cast<int>(program_.steps.size());
    forward_group(i);
    program_.group_slots[static_cast<std::size_t>(i)].winograd = made(i).winograd;
    program_.forward.push_back(
        {.group = i, .begin = begin, .end = static_cast<int>(program_.steps.size())});
  }
}

void Builder::forward_group(int index) {
  const Group& group = program_.groups[static_cast<std::size_t>(index)];
  const Layer& head = layer(group.head);
  begin_piece(group, Pass::forward);
  for (const int input : head.inputs)
    program_.group_slots[static_cast<std::size_t>(index)].inputs.push_back(value(input).slot);
  switch (head.op) {
    case Op::input:
      value(group.head) = make_tensor(plain(dims(head.out), Type::f32), Home::input);
      program_.input = value(group.head).slot;
      break;
    case Op::conv:
      conv_group(group, made(index));
      break;
    case Op::dense:
      dense_group(group, made(index));
      break;
    case Op::batch_norm:
      norm_group(group, made(index));
      break;
    case Op::relu:
      relu_group(group, made(index));
      break;
    case Op::max_pool:
    case Op::avg_pool:
    case Op::global_avg_pool:
      pool_group(group, made(index));
      break;
    case Op::dropout:
      dropout_group(group, made(index));
      break;
    case Op::add:
      add_group(group);
      break;
    case Op::concat:
      concat_group(group);
      break;
    case Op::zero_pad:
      zero_pad_group(group);
      break;
    case Op::softmax_cross_entropy:
      loss_group(group, made(index));
      break;
  }
  for (const int member : group.members()) value(member) = value(group.last());
  program_.group_slots[static_cast<std::size_t>(index)].output = value(group.last()).slot;
}

void Builder::conv_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const ConvFacts facts =
      conv_facts(program_.batch, head.in, head.out.channels, head.groups, head.window);
  const bool biased = head.bias || group.norm >= 0;
  const Desc bias = biased ? plain(facts.bias, Type::f32) : Desc();
  const Prop prop = training() ? Prop::forward_training : Prop::forward_inference;
  const auto make = [&](Algorithm algorithm) {
    return conv_forward(prop, algorithm, facts, any(facts.src, type_), any(facts.weights, type_), bias,
                        any(facts.dst, type_), group.relu >= 0 ? relu_after() : dnnl::post_ops());
  };
  made.conv = fastest(head, made.winograd.forward, make);
  if (!made.conv)
    throw Error(ExitCode::case_failed, fmt::format("layer {} can't be computed", head.name),
                "oneDNN has no convolution for it");
  const Tensor source = ensure(value(head.inputs.front()), made.conv->src_desc());
  Tensor weights, offsets;
  if (group.norm >= 0) {
    const Layer& norm = layer(group.norm);
    ParameterStore* store = &store_;
    const Graph* graph = &graph_;
    weights = computed(made.conv->weights_desc(), store_.canonical(head.parameters[0]),
                       [=, &head, &norm] { return folded_weights(*graph, *store, head, norm); });
    offsets =
        computed(bias, bias, [=, &head, &norm] { return folded_bias(*graph, *store, head, norm); });
  } else {
    weights = parameter(head.parameters[0], made.conv->weights_desc());
    if (biased) offsets = parameter(head.parameters[1], bias);
  }
  const Tensor target = make_tensor(made.conv->dst_desc());
  std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, source), argument(DNNL_ARG_WEIGHTS, weights),
                                     argument(DNNL_ARG_DST, target)};
  if (biased) arguments.push_back(argument(DNNL_ARG_BIAS, offsets));
  emit(*made.conv, dnnl::convolution_forward(*made.conv), std::move(arguments));
  value(group.last()) = target;
}

void Builder::dense_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const Tensor input = value(head.inputs.front());
  const bool flat = head.in.height == 1 && head.in.width == 1;
  const Dims source_dims = flat ? Dims{program_.batch, head.in.channels} : dims(head.in);
  Dims weight_dims = source_dims;
  weight_dims.front() = head.out.channels;
  // The logits stay f32: the loss is computed from them.
  const std::vector<int> users = graph_.users(group.last());
  const bool logits = users.size() == 1 && layer(users.front()).op == Op::softmax_cross_entropy;
  const Dims target_dims = {program_.batch, head.out.channels};
  const Desc bias = head.bias ? plain({head.out.channels}, Type::f32) : Desc();
  const Prop prop = training() ? Prop::forward_training : Prop::forward_inference;
  const auto make = [&](const Desc& source) {
    return dense_forward(prop, source, any(weight_dims, type_), bias,
                         plain(target_dims, logits ? Type::f32 : type_),
                         group.relu >= 0 ? relu_after() : dnnl::post_ops());
  };
  Tensor source = input;
  if (flat && dims_of(input.desc).size() == 4) {
    // N × C × 1 × 1 is N × C once the channels are not padded.
    source = ensure(input, plain(dims(head.in), type_));
    source.desc = plain(source_dims, type_);
  }
  if (type_in(source.desc) != type_) source = ensure(source, plain(source_dims, type_));
  made.dense = make(source.desc);
  if (std::strstr(made.dense->impl_info_str(), "ref") != nullptr)
    made.dense = make(any(source_dims, type_));
  source = ensure(source, made.dense->src_desc());
  made.source = source;
  const Tensor weights = parameter(head.parameters[0], made.dense->weights_desc());
  const Tensor target = make_tensor(made.dense->dst_desc());
  std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, source), argument(DNNL_ARG_WEIGHTS, weights),
                                     argument(DNNL_ARG_DST, target)};
  if (head.bias) arguments.push_back(argument(DNNL_ARG_BIAS, parameter(head.parameters[1], bias)));
  emit(*made.dense, dnnl::inner_product_forward(*made.dense), std::move(arguments));
  value(group.last()) = target;
}

void Builder::norm_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  Tensor source = value(head.inputs.front());
  if (type_in(source.desc) != type_) source = ensure(source, plain(dims(head.in), type_));
  const auto epsilon = static_cast<float>(head.epsilon);
  made.source = source;
  made.norm = norm_forward(training() ? Prop::forward_training : Prop::forward_inference, source.desc,
                           epsilon, !training(), group.relu >= 0);
  const Desc channel = plain({head.out.channels}, Type::f32);
  const Tensor gamma = parameter(head.parameters[0], channel),
               beta = parameter(head.parameters[1], channel);
  made.mean = make_tensor(channel, training() ? Home::arena : Home::statistics);
  made.variance = make_tensor(channel, training() ? Home::arena : Home::statistics);
  if (!training()) {
    slot(made.mean).fixed = store_.mean(group.head).data();
    slot(made.variance).fixed = store_.variance(group.head).data();
  }
  const Tensor target = make_tensor(made.norm->dst_desc());
  std::vector<Argument> arguments = {
      argument(DNNL_ARG_SRC, source),     argument(DNNL_ARG_DST, target),
      argument(DNNL_ARG_MEAN, made.mean), argument(DNNL_ARG_VARIANCE, made.variance),
      argument(DNNL_ARG_SCALE, gamma),    argument(DNNL_ARG_SHIFT, beta),
  };
  if (training() && group.relu >= 0) {
    made.workspace = make_tensor(made.norm->workspace_desc());
    arguments.push_back(argument(DNNL_ARG_WORKSPACE, made.workspace));
  }
  emit(*made.norm, dnnl::batch_normalization_forward(*made.norm), std::move(arguments));
  value(group.last()) = target;
  views(group).mean = made.mean.slot;
  views(group).variance = made.variance.slot;
  if (!training()) return;
  // Running statistics: the unbiased variance, as PyTorch's.
  const double count = static_cast<double>(program_.batch) * static_cast<double>(head.out.height) *
                       static_cast<double>(head.out.width);
  const auto unbiased = static_cast<float>(count > 1 ? count / (count - 1) : 1);
  const auto weight = static_cast<float>(head.momentum);
  Program* program = &program_;
  host(
      [=, running_mean = store_.mean(group.head), running_variance = store_.variance(group.head),
       made_mean = made.mean.slot, made_variance = made.variance.slot] {
        const auto* mean = static_cast<const float*>(
            program->slots[static_cast<std::size_t>(made_mean)].memory.get_data_handle());
        const auto* variance = static_cast<const float*>(
            program->slots[static_cast<std::size_t>(made_variance)].memory.get_data_handle());
        for (std::size_t c = 0; c < running_mean.size(); ++c) {
          running_mean[c] += weight * (mean[c] - running_mean[c]);
          running_variance[c] += weight * (unbiased * variance[c] - running_variance[c]);
        }
      },
      {made.mean.slot, made.variance.slot});
}

void Builder::relu_group(const Group& group, Made& made) {
  const Tensor source = value(layer(group.head).inputs.front());
  made.relu = relu_forward(training() ? Prop::forward_training : Prop::forward_inference, source.desc);
  const Tensor target = make_tensor(made.relu->dst_desc());
  emit(*made.relu, dnnl::eltwise_forward(*made.relu),
       {argument(DNNL_ARG_SRC, source), argument(DNNL_ARG_DST, target)});
  value(group.head) = target;
}

void Builder::pool_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const Window& w = head.window;
  const Algorithm algorithm = head.op == Op::max_pool          ? Algorithm::pooling_max
                              : head.op == Op::global_avg_pool ? Algorithm::pooling_avg_include_padding
                              : head.include_padding           ? Algorithm::pooling_avg_include_padding
                                                               : Algorithm::pooling_avg_exclude_padding;
  const PoolFacts facts{dims(head.out),
                        {w.kernel_h, w.kernel_w},
                        strides_of(w),
                        {w.pad_top, w.pad_left},
                        {w.pad_bottom, w.pad_right}};
  Tensor source = value(head.inputs.front());
  if (type_in(source.desc) != type_) source = ensure(source, plain(dims(head.in), type_));
  made.source = source;
  made.pool_algorithm = algorithm;
  made.pool_facts = facts;
  made.pool = pool_forward(training() ? Prop::forward_training : Prop::forward_inference, algorithm,
                           facts, source.desc);
  const Tensor target = make_tensor(made.pool->dst_desc());
  std::vector<Argument> arguments = {argument(DNNL_ARG_SRC, source), argument(DNNL_ARG_DST, target)};
  if (training() && head.op == Op::max_pool) {
    made.workspace = make_tensor(made.pool->workspace_desc());
    arguments.push_back(argument(DNNL_ARG_WORKSPACE, made.workspace));
  }
  emit(*made.pool, dnnl::pooling_forward(*made.pool), std::move(arguments));
  value(group.head) = target;
}

}  // namespace dlscale::nn::onednn
