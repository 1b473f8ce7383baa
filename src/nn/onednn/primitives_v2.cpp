// SPDX-License-Identifier: BSD-3-Clause
// The interface of oneDNN 2.x: an operation is described, then its primitive descriptor is made.
#include "nn/onednn/primitive_parts.hpp"

#if DNNL_VERSION_MAJOR < 3

namespace dlscale::nn::onednn {

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

NormForward norm_forward(Prop prop, const Desc& src, float epsilon, bool global, bool relu) {
  return {dnnl::batch_normalization_forward::desc(prop, src, epsilon, norm_flags(global, relu)),
          attributes(), engine()};
}

dnnl::batch_normalization_backward::primitive_desc norm_backward(const Desc& diff, const Desc& src,
                                                                 float epsilon, bool relu,
                                                                 const NormForward& hint) {
  return {dnnl::batch_normalization_backward::desc(Prop::backward, diff, src, epsilon,
                                                   norm_flags(false, relu)),
          attributes(), engine(), hint};
}

}  // namespace dlscale::nn::onednn

#endif
