// SPDX-License-Identifier: BSD-3-Clause
// The interface of oneDNN 3.x: a primitive descriptor is made at once.
#include "nn/onednn/primitive_parts.hpp"

#if DNNL_VERSION_MAJOR >= 3

namespace dlscale::nn::onednn {

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

NormForward norm_forward(Prop prop, const Desc& src, float epsilon, bool global, bool relu) {
  return {engine(), prop, src, src, epsilon, norm_flags(global, relu), attributes()};
}

dnnl::batch_normalization_backward::primitive_desc norm_backward(const Desc& diff, const Desc& src,
                                                                 float epsilon, bool relu,
                                                                 const NormForward& hint) {
  return {engine(), Prop::backward,          diff, diff,        src,
          epsilon,  norm_flags(false, relu), hint, attributes()};
}

}  // namespace dlscale::nn::onednn

#endif
