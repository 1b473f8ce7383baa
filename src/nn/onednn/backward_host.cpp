// SPDX-License-Identifier: BSD-3-Clause
// Backward steps of the layers that move data or compute on the host.
#include "nn/onednn/builder.hpp"
#include "nn/onednn/host_ops.hpp"

namespace dlscale::nn::onednn {

void Builder::dropout_backward(const Group& group, Made& made) {
  if (made.alias) return contribute(group, 0, gradient(group.head));
  const Layer& head = layer(group.head);
  const Tensor own = ensure(gradient(group.head), value(group.head).desc);
  const Tensor target = make_tensor(own.desc);
  Program* program = &program_;
  host(
      [=, rate = head.rate, wide = type_in(own.desc) == Type::f32, from = own.slot, to = target.slot,
       keep = made.mask.slot] {
        const auto mask = span_of<std::uint8_t>(program, keep);
        const auto scale = static_cast<float>(1 / (1 - rate));
        if (wide)
          dropout_apply(span_of<const float>(program, from), mask, scale, span_of<float>(program, to));
        else
          dropout_apply(span_of<const std::uint16_t>(program, from), mask, scale,
                        span_of<std::uint16_t>(program, to));
      },
      {own.slot, target.slot, made.mask.slot});
  contribute(group, 0, target);
}

void Builder::spread_backward(const Group& group) {
  const Layer& head = layer(group.head);
  const Tensor own = gradient(group.head);
  if (head.op == Op::add) {
    contribute(group, 0, own);
    contribute(group, 1, own);
    return;
  }
  Dims offsets = {0, 0, head.window.pad_top, head.window.pad_left};  // zero_pad; zero for concat
  for (std::size_t i = 0; i < head.inputs.size(); ++i) {
    const Shape& shape = layer(head.inputs[i]).out;
    if (graph_.needs_gradient(head.inputs[i])) {
      const Desc source = part_of(own.desc, dims(shape), offsets);
      const Tensor target = make_tensor(value(head.inputs[i]).desc);
      const auto pd = reorder(source, target.desc);
      emit(pd, dnnl::reorder(pd), {{DNNL_ARG_FROM, own.slot, source}, argument(DNNL_ARG_TO, target)});
      contribute(group, i, target);
    }
    if (head.op == Op::concat) offsets[1] += shape.channels;
  }
}

}  // namespace dlscale::nn::onednn
