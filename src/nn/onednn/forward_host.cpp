// SPDX-License-Identifier: BSD-3-Clause
// Forward steps of the layers that move data or compute on the host.
#include <algorithm>
#include <cmath>

#include "nn/onednn/builder.hpp"
#include "nn/onednn/host_ops.hpp"

namespace dlscale::nn::onednn {
namespace {

// The same kind of layout for other dimensions, if it is one of the usual ones; else row-major.
Desc like(const Desc& model, const Dims& dims) {
  using Tag = Memory::format_tag;
  for (const Tag tag : {Tag::nChw16c, Tag::nChw8c, Tag::nhwc})
    if (model == Desc(dims_of(model), type_in(model), tag)) return {dims, type_in(model), tag};
  return plain(dims, type_in(model));
}

}  // namespace

void Builder::dropout_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const Tensor source = value(head.inputs.front());
  if (!training() || head.rate <= 0) {
    made.alias = true;
    value(group.head) = source;
    return;
  }
  const auto size = static_cast<std::int64_t>(bytes_of(source.desc) / (type_ == Type::bf16 ? 2 : 4));
  made.mask = make_tensor(plain({size}, Type::u8));
  const Tensor target = make_tensor(source.desc);
  value(group.head) = target;
  views(group).mask = made.mask.slot;
  Program* program = &program_;
  const auto id = static_cast<std::uint64_t>(group.head);
  host(
      [=, rate = head.rate, wide = type_in(source.desc) == Type::f32, from = source.slot,
       to = target.slot, keep = made.mask.slot] {
        const auto mask = span_of<std::uint8_t>(program, keep);
        dropout_mask(program->state.dropout_key ^ (id * 0x9e3779b97f4a7c15ULL), rate, mask);
        const auto scale = static_cast<float>(1 / (1 - rate));
        if (wide)
          dropout_apply(span_of<const float>(program, from), mask, scale, span_of<float>(program, to));
        else
          dropout_apply(span_of<const std::uint16_t>(program, from), mask, scale,
                        span_of<std::uint16_t>(program, to));
      },
      {source.slot, target.slot, made.mask.slot});
}

void Builder::add_group(const Group& group) {
  const Layer& head = layer(group.head);
  const Tensor a = value(head.inputs[0]), b = ensure(value(head.inputs[1]), a.desc);
  const Tensor target = make_tensor(a.desc);
  const auto pd = sum_of(a.desc, b.desc, target.desc);
  emit(pd, dnnl::binary(pd),
       {argument(DNNL_ARG_SRC_0, a), argument(DNNL_ARG_SRC_1, b), argument(DNNL_ARG_DST, target)});
  value(group.head) = target;
}

void Builder::concat_group(const Group& group) {
  std::vector<Desc> descs;
  std::vector<Tensor> sources;
  for (const int input : layer(group.head).inputs) {
    sources.push_back(value(input));
    descs.push_back(value(input).desc);
  }
  const auto pd = concat_channels(descs);
  const Tensor target = make_tensor(pd.dst_desc());
  std::vector<Argument> arguments = {argument(DNNL_ARG_DST, target)};
  for (std::size_t i = 0; i < sources.size(); ++i)
    arguments.push_back(argument(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), sources[i]));
  emit(pd, dnnl::concat(pd), std::move(arguments));
  value(group.head) = target;
}

// The border is zero from the start and never written: the tensor is kept.
void Builder::zero_pad_group(const Group& group) {
  const Layer& head = layer(group.head);
  const Tensor source = value(head.inputs.front());
  const Tensor target = make_tensor(like(source.desc, dims(head.out)), Home::owned);
  const Desc inner =
      part_of(target.desc, dims(head.in), {0, 0, head.window.pad_top, head.window.pad_left});
  const auto pd = reorder(source.desc, inner);
  emit(pd, dnnl::reorder(pd), {argument(DNNL_ARG_FROM, source), {DNNL_ARG_TO, target.slot, inner}});
  value(group.head) = target;
}

void Builder::loss_group(const Group& group, Made& made) {
  const Layer& head = layer(group.head);
  const std::int64_t classes = head.in.count();
  Tensor logits = value(head.inputs.front());
  if (dims_of(logits.desc).size() == 4) {
    logits = ensure(logits, plain({program_.batch, classes, 1, 1}, Type::f32));
    logits.desc = plain({program_.batch, classes}, Type::f32);
  }
  logits = ensure(logits, plain({program_.batch, classes}, Type::f32));
  program_.logits = logits.slot;
  std::vector<int> touched = {logits.slot};
  if (training()) {
    made.loss_gradient = make_tensor(plain({program_.batch, classes}, Type::f32));
    touched.push_back(made.loss_gradient.slot);
  }
  Program* program = &program_;
  host(
      [=, from = logits.slot, to = made.loss_gradient.slot] {
        StepState& state = program->state;
        state.loss = std::nan("");
        if (state.labels.empty()) return;
        state.loss = softmax_cross_entropy(span_of<const float>(program, from), state.labels, classes,
                                           to < 0 ? std::span<float>() : span_of<float>(program, to),
                                           state.correct);
      },
      touched);
  value(group.head) = logits;
}

}  // namespace dlscale::nn::onednn
