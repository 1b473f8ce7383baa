// SPDX-License-Identifier: BSD-3-Clause
// The one file that knows both interfaces: 2.x describes an operation, then makes its primitive
// descriptor; 3.x makes it at once.
#include "nn/onednn/primitives.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <cstring>
#include <type_traits>

#include "base/error.hpp"

namespace dlscale::nn::onednn {
namespace {

dnnl::primitive_attr attributes(const dnnl::post_ops& after = {}) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(after);
  return attr;
}

// The library answers "unimplemented" by an exception as well; everything else goes on up.
template <class Make>
auto if_implemented(Make make) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_unimplemented) return std::nullopt;
    throw;
  }
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream queue(engine());
  return queue;
}

void call(const std::string& what, const std::function<void()>& action) {
  try {
    action();
  } catch (const dnnl::error& e) {
    throw Error(ExitCode::case_failed, what + " failed", fmt::format("oneDNN: {}", e.what()),
                "try algorithm = direct, or another version of oneDNN");
  }
}

Type type_of(Precision precision) {
  return precision == Precision::bf16 ? Type::bf16 : Type::f32;
}

void set_threads(int threads) {
  omp_set_num_threads(threads);
}

Desc any(const Dims& dims, Type type) {
  return {dims, type, Memory::format_tag::any};
}

Desc plain(const Dims& dims, Type type) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return {dims, type, strides};
}

Desc part_of(const Desc& whole, const Dims& dims, const Dims& offsets) {
  return whole.submemory_desc(dims, offsets);
}

ConvFacts conv_facts(std::int64_t batch, const Shape& in, std::int64_t filters, std::int64_t groups,
                     const Window& w) {
  ConvFacts facts;
  facts.src = {batch, in.channels, in.height, in.width};
  if (groups > 1)
    facts.weights = {groups, filters / groups, in.channels / groups, w.kernel_h, w.kernel_w};
  else
    facts.weights = {filters, in.channels, w.kernel_h, w.kernel_w};
  facts.bias = {filters};
  facts.dst = {batch, filters, w.out_height(in.height), w.out_width(in.width)};
  facts.strides = {w.stride_h, w.stride_w};
  facts.pad_left = {w.pad_top, w.pad_left};
  facts.pad_right = {w.pad_bottom, w.pad_right};
  return facts;
}

dnnl::post_ops relu_after() {
  dnnl::post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(Algorithm::eltwise_relu, 0, 0);
#else
  ops.append_eltwise(1, Algorithm::eltwise_relu, 0, 0);
#endif
  return ops;
}

dnnl::reorder::primitive_desc reorder(const Desc& from, const Desc& to) {
  return {engine(), from, engine(), to, attributes()};
}

void copy(const Memory& from, const Memory& to) {
  call("copying a tensor", [&] {
    const dnnl::reorder::primitive_desc pd(engine(), from.get_desc(), engine(), to.get_desc());
    Memory source = from, target = to;
    dnnl::reorder(pd).execute(stream(), source, target);
    stream().wait();
  });
}

#if DNNL_VERSION_MAJOR >= 3

Dims dims_of(const Desc& desc) {
  return desc.get_dims();
}

Type type_in(const Desc& desc) {
  return desc.get_data_type();
}

std::optional<ConvForward> conv_forward(Prop prop, Algorithm algorithm, const ConvFacts& f,
                                        const Desc& src, const Desc& weights, const Desc& bias,
                                        const Desc& dst, const dnnl::post_ops& after) {
  return if_implemented([&] {
    return ConvForward(engine(), prop, algorithm, src, weights, bias, dst, f.strides, f.pad_left,
                       f.pad_right, attributes(after));
  });
}

std::optional<ConvBackwardData> conv_backward_data(Algorithm algorithm, const ConvFacts& f,
                                                   const Desc& diff_src, const Desc& weights,
                                                   const Desc& diff_dst, const ConvForward& hint) {
  return if_implemented([&] {
    return ConvBackwardData(engine(), algorithm, diff_src, weights, diff_dst, f.strides, f.pad_left,
                            f.pad_right, hint, attributes());
  });
}

std::optional<ConvBackwardWeights> conv_backward_weights(Algorithm algorithm, const ConvFacts& f,
                                                         const Desc& src, const Desc& diff_weights,
                                                         const Desc& diff_bias, const Desc& diff_dst,
                                                         const ConvForward& hint) {
  return if_implemented([&] {
    return ConvBackwardWeights(engine(), algorithm, src, diff_weights, diff_bias, diff_dst, f.strides,
                               f.pad_left, f.pad_right, hint, attributes());
  });
}

DenseForward dense_forward(Prop prop, const Desc& src, const Desc& weights, const Desc& bias,
                           const Desc& dst, const dnnl::post_ops& after) {
  return {engine(), prop, src, weights, bias, dst, attributes(after)};
}

dnnl::inner_product_backward_data::primitive_desc dense_backward_data(const Desc& diff_src,
                                                                      const Desc& weights,
                                                                      const Desc& diff_dst,
                                                                      const DenseForward& hint) {
  return {engine(), diff_src, weights, diff_dst, hint, attributes()};
}

dnnl::inner_product_backward_weights::primitive_desc dense_backward_weights(const Desc& src,
                                                                            const Desc& diff_weights,
                                                                            const Desc& diff_bias,
                                                                            const Desc& diff_dst,
                                                                            const DenseForward& hint) {
  return {engine(), src, diff_weights, diff_bias, diff_dst, hint, attributes()};
}

PoolForward pool_forward(Prop prop, Algorithm algorithm, const PoolFacts& f, const Desc& src) {
  const Dims dilation(f.kernel.size(), 0);
  return {engine(), prop,       algorithm,   src,         any(f.dst, type_in(src)), f.strides, f.kernel,
          dilation, f.pad_left, f.pad_right, attributes()};
}

dnnl::pooling_backward::primitive_desc pool_backward(Algorithm algorithm, const PoolFacts& f,
                                                     const Desc& diff_src, const Desc& diff_dst,
                                                     const PoolForward& hint) {
  const Dims dilation(f.kernel.size(), 0);
  return {engine(), algorithm,  diff_src,    diff_dst, f.strides,   f.kernel,
          dilation, f.pad_left, f.pad_right, hint,     attributes()};
}

ReluForward relu_forward(Prop prop, const Desc& data) {
  return {engine(), prop, Algorithm::eltwise_relu_use_dst_for_bwd, data, data, 0.F, 0.F, attributes()};
}

dnnl::eltwise_backward::primitive_desc relu_backward(const Desc& diff, const Desc& dst,
                                                     const ReluForward& hint) {
  return {engine(),    Algorithm::eltwise_relu_use_dst_for_bwd, diff, diff, dst, 0.F, 0.F, hint,
          attributes()};
}

dnnl::binary::primitive_desc sum_of(const Desc& a, const Desc& b, const Desc& dst) {
  return {engine(), Algorithm::binary_add, a, b, dst, attributes()};
}

dnnl::concat::primitive_desc concat_channels(const std::vector<Desc>& sources) {
  return {engine(), 1, sources, attributes()};
}

#else

Dims dims_of(const Desc& desc) {
  return desc.dims();
}

Type type_in(const Desc& desc) {
  return desc.data_type();
}

std::optional<ConvForward> conv_forward(Prop prop, Algorithm algorithm, const ConvFacts& f,
                                        const Desc& src, const Desc& weights, const Desc& bias,
                                        const Desc& dst, const dnnl::post_ops& after) {
  return if_implemented([&] {
    const bool with_bias = bias.get_size() > 0 || bias != Desc();
    const auto desc = with_bias
                          ? dnnl::convolution_forward::desc(prop, algorithm, src, weights, bias, dst,
                                                            f.strides, f.pad_left, f.pad_right)
                          : dnnl::convolution_forward::desc(prop, algorithm, src, weights, dst,
                                                            f.strides, f.pad_left, f.pad_right);
    return ConvForward(desc, attributes(after), engine());
  });
}

std::optional<ConvBackwardData> conv_backward_data(Algorithm algorithm, const ConvFacts& f,
                                                   const Desc& diff_src, const Desc& weights,
                                                   const Desc& diff_dst, const ConvForward& hint) {
  return if_implemented([&] {
    const dnnl::convolution_backward_data::desc desc(algorithm, diff_src, weights, diff_dst, f.strides,
                                                     f.pad_left, f.pad_right);
    return ConvBackwardData(desc, attributes(), engine(), hint);
  });
}

std::optional<ConvBackwardWeights> conv_backward_weights(Algorithm algorithm, const ConvFacts& f,
                                                         const Desc& src, const Desc& diff_weights,
                                                         const Desc& diff_bias, const Desc& diff_dst,
                                                         const ConvForward& hint) {
  return if_implemented([&] {
    const bool with_bias = diff_bias != Desc();
    const auto desc =
        with_bias
            ? dnnl::convolution_backward_weights::desc(algorithm, src, diff_weights, diff_bias, diff_dst,
                                                       f.strides, f.pad_left, f.pad_right)
            : dnnl::convolution_backward_weights::desc(algorithm, src, diff_weights, diff_dst, f.strides,
                                                       f.pad_left, f.pad_right);
    return ConvBackwardWeights(desc, attributes(), engine(), hint);
  });
}

DenseForward dense_forward(Prop prop, const Desc& src, const Desc& weights, const Desc& bias,
                           const Desc& dst, const dnnl::post_ops& after) {
  const auto desc = bias != Desc() ? dnnl::inner_product_forward::desc(prop, src, weights, bias, dst)
                                   : dnnl::inner_product_forward::desc(prop, src, weights, dst);
  return {desc, attributes(after), engine()};
}

dnnl::inner_product_backward_data::primitive_desc dense_backward_data(const Desc& diff_src,
                                                                      const Desc& weights,
                                                                      const Desc& diff_dst,
                                                                      const DenseForward& hint) {
  return {dnnl::inner_product_backward_data::desc(diff_src, weights, diff_dst), attributes(), engine(),
          hint};
}

dnnl::inner_product_backward_weights::primitive_desc dense_backward_weights(const Desc& src,
                                                                            const Desc& diff_weights,
                                                                            const Desc& diff_bias,
                                                                            const Desc& diff_dst,
                                                                            const DenseForward& hint) {
  const auto desc =
      diff_bias != Desc()
          ? dnnl::inner_product_backward_weights::desc(src, diff_weights, diff_bias, diff_dst)
          : dnnl::inner_product_backward_weights::desc(src, diff_weights, diff_dst);
  return {desc, attributes(), engine(), hint};
}

PoolForward pool_forward(Prop prop, Algorithm algorithm, const PoolFacts& f, const Desc& src) {
  const dnnl::pooling_forward::desc desc(prop, algorithm, src, any(f.dst, type_in(src)), f.strides,
                                         f.kernel, f.pad_left, f.pad_right);
  return {desc, attributes(), engine()};
}

dnnl::pooling_backward::primitive_desc pool_backward(Algorithm algorithm, const PoolFacts& f,
                                                     const Desc& diff_src, const Desc& diff_dst,
                                                     const PoolForward& hint) {
  const dnnl::pooling_backward::desc desc(algorithm, diff_src, diff_dst, f.strides, f.kernel, f.pad_left,
                                          f.pad_right);
  return {desc, attributes(), engine(), hint};
}

ReluForward relu_forward(Prop prop, const Desc& data) {
  const dnnl::eltwise_forward::desc desc(prop, Algorithm::eltwise_relu_use_dst_for_bwd, data, 0.F, 0.F);
  return {desc, attributes(), engine()};
}

dnnl::eltwise_backward::primitive_desc relu_backward(const Desc& diff, const Desc& dst,
                                                     const ReluForward& hint) {
  const dnnl::eltwise_backward::desc desc(Algorithm::eltwise_relu_use_dst_for_bwd, diff, dst, 0.F, 0.F);
  return {desc, attributes(), engine(), hint};
}

dnnl::binary::primitive_desc sum_of(const Desc& a, const Desc& b, const Desc& dst) {
  return {dnnl::binary::desc(Algorithm::binary_add, a, b, dst), attributes(), engine()};
}

dnnl::concat::primitive_desc concat_channels(const std::vector<Desc>& sources) {
  return {1, sources, engine(), attributes()};
}

#endif

namespace {

auto norm_flags(bool global, bool relu) {
  using Flags = dnnl::normalization_flags;
  Flags flags = Flags::use_scale | Flags::use_shift;
  if (global) flags |= Flags::use_global_stats;
  if (relu) flags |= Flags::fuse_norm_relu;
  return flags;
}

}  // namespace

NormForward norm_forward(Prop prop, const Desc& src, float epsilon, bool global, bool relu) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), prop, src, src, epsilon, norm_flags(global, relu), attributes()};
#else
  return {dnnl::batch_normalization_forward::desc(prop, src, epsilon, norm_flags(global, relu)),
          attributes(), engine()};
#endif
}

dnnl::batch_normalization_backward::primitive_desc norm_backward(const Desc& diff, const Desc& src,
                                                                 float epsilon, bool relu,
                                                                 const NormForward& hint) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), Prop::backward,          diff, diff,        src,
          epsilon,  norm_flags(false, relu), hint, attributes()};
#else
  return {dnnl::batch_normalization_backward::desc(Prop::backward, diff, src, epsilon,
                                                   norm_flags(false, relu)),
          attributes(), engine(), hint};
#endif
}

std::string library_facts() {
  const dnnl_version_t* version = dnnl_version();
  const char* isa = "";
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      isa = "SSE4.1";
      break;
    case dnnl::cpu_isa::avx:
      isa = "AVX";
      break;
    case dnnl::cpu_isa::avx2:
      isa = "AVX2";
      break;
    case dnnl::cpu_isa::avx2_vnni:
      isa = "AVX2 VNNI";
      break;
    case dnnl::cpu_isa::avx512_core:
      isa = "AVX-512";
      break;
    case dnnl::cpu_isa::avx512_core_vnni:
      isa = "AVX-512 VNNI";
      break;
    case dnnl::cpu_isa::avx512_core_bf16:
      isa = "AVX-512 BF16";
      break;
    case dnnl::cpu_isa::avx512_core_amx:
      isa = "AMX";
      break;
#if DNNL_VERSION_MAJOR >= 3
    case dnnl::cpu_isa::avx2_vnni_2:
      isa = "AVX2 VNNI BF16";
      break;
    case dnnl::cpu_isa::avx512_core_fp16:
      isa = "AVX-512 FP16";
      break;
    case dnnl::cpu_isa::avx512_core_amx_fp16:
      isa = "AMX FP16";
      break;
#endif
    default:
      isa = "best available";
      break;
  }
  return fmt::format("oneDNN {}.{}.{} ({})", version->major, version->minor, version->patch, isa);
}

}  // namespace dlscale::nn::onednn
