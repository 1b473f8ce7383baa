// SPDX-License-Identifier: BSD-3-Clause
// Convolution and dense layers, sums in the order of the definition: channel, row, column of the kernel.
#include "nn/reference/layer_kinds.hpp"

namespace dlscale::nn {
namespace {

struct Conv {
  explicit Conv(const ReferenceLayer& l)
      : in(l.layer.in),
        out(l.layer.out),
        window(l.layer.window),
        group_in(in.channels / l.layer.groups),
        group_out(out.channels / l.layer.groups) {}

  std::int64_t work(std::int64_t batch) const {
    return batch * out.count() * group_in * window.kernel_h * window.kernel_w;
  }

  const Shape &in, &out;
  const Window& window;
  std::int64_t group_in, group_out;

  /// Calls row(weight index, x offset, y offset, count) for every row of every tap of output channel o
  /// in image n: y[y offset + i] takes weight × x[x offset + i·stride_w].
  template <class Row>
  void for_rows(std::int64_t n, std::int64_t o, Row row) const {
    const std::int64_t taps = window.kernel_h * window.kernel_w;
    const std::int64_t first_channel = o / group_out * group_in;
    for (std::int64_t c = 0; c < group_in; ++c)
      for (std::int64_t t = 0; t < taps; ++t) {
        const std::int64_t dh = t / window.kernel_w - window.pad_top,
                           dw = t % window.kernel_w - window.pad_left;
        const TapRange rows = tap_range(dh, window.stride_h, in.height, out.height);
        const TapRange cols = tap_range(dw, window.stride_w, in.width, out.width);
        if (cols.first == cols.last) continue;
        const std::int64_t x_plane = (n * in.channels + first_channel + c) * in.height;
        for (std::int64_t h = rows.first; h < rows.last; ++h)
          row((o * group_in + c) * taps + t,
              (x_plane + h * window.stride_h + dh) * in.width + cols.first * window.stride_w + dw,
              ((n * out.channels + o) * out.height + h) * out.width + cols.first,
              cols.last - cols.first);
      }
  }
};

}  // namespace

Values conv_forward(const ReferenceLayer& l) {
  const Conv conv(l);
  const std::int64_t pixels = conv.out.height * conv.out.width, stride = conv.window.stride_w;
  Values out(l.batch * conv.out.count(), 0.0);
  const double *x_all = l.inputs[0].data(), *w_all = l.parameters[0].data();
#pragma omp parallel for collapse(2) if (worth_threads(conv.work(l.batch)))
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (std::int64_t o = 0; o < conv.out.channels; ++o) {
      conv.for_rows(n, o, [&](std::int64_t w, std::int64_t x, std::int64_t y, std::int64_t count) {
        const double weight = w_all[w], *from = x_all + x;
        double* to = out.data() + y;
        if (stride == 1) {
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
        } else {
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i * stride];
        }
      });
      if (l.layer.bias)
        for (std::int64_t i = 0; i < pixels; ++i)
          out[(n * conv.out.channels + o) * pixels + i] += l.parameters[1][o];
    }
  return out;
}

void conv_backward(ReferenceLayer& l, const Values& dy) {
  const Conv conv(l);
  const std::int64_t pixels = conv.out.height * conv.out.width, stride = conv.window.stride_w;
  double *dx_all = l.input_gradients[0].data(), *dw_all = l.parameter_gradients[0].data();
  const double *x_all = l.inputs[0].data(), *w_all = l.parameters[0].data();
#pragma omp parallel for if (worth_threads(conv.work(l.batch)))
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (std::int64_t o = 0; o < conv.out.channels; ++o)
      conv.for_rows(n, o, [&](std::int64_t w, std::int64_t x, std::int64_t y, std::int64_t count) {
        const double weight = w_all[w], *from = dy.data() + y;
        double* to = dx_all + x;
        if (stride == 1) {
          for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
        } else {
          for (std::int64_t i = 0; i < count; ++i) to[i * stride] += weight * from[i];
        }
      });
#pragma omp parallel for if (worth_threads(conv.work(l.batch)))
  for (std::int64_t o = 0; o < conv.out.channels; ++o)
    for (std::int64_t n = 0; n < l.batch; ++n) {
      conv.for_rows(n, o, [&](std::int64_t w, std::int64_t x, std::int64_t y, std::int64_t count) {
        const double *a = dy.data() + y, *b = x_all + x;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i * stride];
        dw_all[w] += sum;
      });
      if (l.layer.bias)
        for (std::int64_t i = 0; i < pixels; ++i)
          l.parameter_gradients[1][o] += dy[(n * conv.out.channels + o) * pixels + i];
    }
}

Values dense_forward(const ReferenceLayer& l) {
  const std::int64_t inputs = l.layer.in.count(), outputs = l.layer.out.count();
  Values y(l.batch * outputs);
#pragma omp parallel for collapse(2) if (worth_threads(l.batch * inputs * outputs))
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (std::int64_t o = 0; o < outputs; ++o) {
      const double *x = l.inputs[0].data() + n * inputs, *w = l.parameters[0].data() + o * inputs;
      double sum = l.layer.bias ? l.parameters[1][o] : 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < inputs; ++i) sum += w[i] * x[i];
      y[n * outputs + o] = sum;
    }
  return y;
}

void dense_backward(ReferenceLayer& l, const Values& dy) {
  const std::int64_t inputs = l.layer.in.count(), outputs = l.layer.out.count();
  double *dx_all = l.input_gradients[0].data(), *dw_all = l.parameter_gradients[0].data();
#pragma omp parallel for if (worth_threads(l.batch * inputs * outputs))
  for (std::int64_t n = 0; n < l.batch; ++n)
    for (std::int64_t o = 0; o < outputs; ++o) {
      const double g = dy[n * outputs + o], *w = l.parameters[0].data() + o * inputs;
      double* dx = dx_all + n * inputs;
      for (std::int64_t i = 0; i < inputs; ++i) dx[i] += g * w[i];
    }
#pragma omp parallel for if (worth_threads(l.batch * inputs * outputs))
  for (std::int64_t o = 0; o < outputs; ++o)
    for (std::int64_t n = 0; n < l.batch; ++n) {
      const double g = dy[n * outputs + o], *x = l.inputs[0].data() + n * inputs;
      double* dw = dw_all + o * inputs;
      for (std::int64_t i = 0; i < inputs; ++i) dw[i] += g * x[i];
      if (l.layer.bias) l.parameter_gradients[1][o] += g;
    }
}

}  // namespace dlscale::nn
