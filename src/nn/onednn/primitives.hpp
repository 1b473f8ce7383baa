// SPDX-License-Identifier: BSD-3-Clause
/// oneDNN 2.6 and 3.x behind one set of functions: the differences of their interfaces live in
/// primitives_v2.cpp and primitives_v3.cpp. Descriptions may be `any`; what the library chose is asked
/// of the returned objects.
#pragma once

#include <cstdint>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "nn/executor.hpp"
#include "nn/graph.hpp"

namespace dlscale::nn::onednn {

using Memory = dnnl::memory;
using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Type = dnnl::memory::data_type;
using Algorithm = dnnl::algorithm;
using Prop = dnnl::prop_kind;
using Arguments = std::unordered_map<int, Memory>;

/// The processor and its one queue; in-order, made once per process.
const dnnl::engine& engine();
dnnl::stream& stream();

/// Runs `action`; a dnnl::error becomes Error(case_failed) with what was being done and the library's
/// own words.
void call(const std::string& what, const std::function<void()>& action);

/// "oneDNN 2.6.3 (AVX-512 …)": version and the instruction set in effect.
std::string library_facts();
Type type_of(Precision precision);

/// Threads of the next primitives that are made and run by the calling thread.
void set_threads(int threads);

// --- descriptions ---------------------------------------------------------------------------------
Desc any(const Dims& dims, Type type);
/// Row-major: N × C × H × W, O × I × kh × kw, G × O × I × kh × kw, or a vector.
Desc plain(const Dims& dims, Type type);
Dims dims_of(const Desc& desc);
Type type_in(const Desc& desc);
inline std::size_t bytes_of(const Desc& desc) {
  return desc.get_size();
}
/// The part of a larger tensor that begins at `offsets`.
Desc part_of(const Desc& whole, const Dims& dims, const Dims& offsets);

/// A convolution's fixed facts: dims of its operands for a batch, strides and padding.
struct ConvFacts {
  Dims src, weights, bias, dst, strides, pad_left, pad_right;  ///< pads: {top, left}, {bottom, right}
};
ConvFacts conv_facts(std::int64_t batch, const Shape& in, std::int64_t filters, std::int64_t groups,
                     const Window& window);

// --- primitive descriptors --------------------------------------------------------------------------
// std::nullopt: the library has no such implementation (or none but its slow reference, if refused).
using ConvForward = dnnl::convolution_forward::primitive_desc;
using ConvBackwardData = dnnl::convolution_backward_data::primitive_desc;
using ConvBackwardWeights = dnnl::convolution_backward_weights::primitive_desc;

/// Scratch memory is the caller's (DNNL_ARG_SCRATCHPAD). `bias` empty (Desc()): none.
std::optional<ConvForward> conv_forward(Prop prop, Algorithm algorithm, const ConvFacts& facts,
                                        const Desc& src, const Desc& weights, const Desc& bias,
                                        const Desc& dst, const dnnl::post_ops& after = {});
std::optional<ConvBackwardData> conv_backward_data(Algorithm algorithm, const ConvFacts& facts,
                                                   const Desc& diff_src, const Desc& weights,
                                                   const Desc& diff_dst, const ConvForward& hint);
std::optional<ConvBackwardWeights> conv_backward_weights(Algorithm algorithm, const ConvFacts& facts,
                                                         const Desc& src, const Desc& diff_weights,
                                                         const Desc& diff_bias, const Desc& diff_dst,
                                                         const ConvForward& hint);

using DenseForward = dnnl::inner_product_forward::primitive_desc;
DenseForward dense_forward(Prop prop, const Desc& src, const Desc& weights, const Desc& bias,
                           const Desc& dst, const dnnl::post_ops& after = {});
dnnl::inner_product_backward_data::primitive_desc dense_backward_data(const Desc& diff_src,
                                                                      const Desc& weights,
                                                                      const Desc& diff_dst,
                                                                      const DenseForward& hint);
dnnl::inner_product_backward_weights::primitive_desc dense_backward_weights(const Desc& src,
                                                                            const Desc& diff_weights,
                                                                            const Desc& diff_bias,
                                                                            const Desc& diff_dst,
                                                                            const DenseForward& hint);

using NormForward = dnnl::batch_normalization_forward::primitive_desc;
/// Scale and shift always; `global`: given statistics (inference); `relu`: fused.
NormForward norm_forward(Prop prop, const Desc& src, float epsilon, bool global, bool relu);
dnnl::batch_normalization_backward::primitive_desc norm_backward(const Desc& diff, const Desc& src,
                                                                 float epsilon, bool relu,
                                                                 const NormForward& hint);

/// A primitive of 3.x refuses arguments that it does not read, the shift here; 2.x asks for it.
inline constexpr bool norm_backward_takes_shift = DNNL_VERSION_MAJOR < 3;

using PoolForward = dnnl::pooling_forward::primitive_desc;
struct PoolFacts {
  Dims dst, kernel, strides, pad_left, pad_right;
};
PoolForward pool_forward(Prop prop, Algorithm algorithm, const PoolFacts& facts, const Desc& src);
dnnl::pooling_backward::primitive_desc pool_backward(Algorithm algorithm, const PoolFacts& facts,
                                                     const Desc& diff_src, const Desc& diff_dst,
                                                     const PoolForward& hint);

using ReluForward = dnnl::eltwise_forward::primitive_desc;
ReluForward relu_forward(Prop prop, const Desc& data);
/// From the forward pass's output.
dnnl::eltwise_backward::primitive_desc relu_backward(const Desc& diff, const Desc& dst,
                                                     const ReluForward& hint);
dnnl::post_ops relu_after();

dnnl::binary::primitive_desc sum_of(const Desc& a, const Desc& b, const Desc& dst);
dnnl::concat::primitive_desc concat_channels(const std::vector<Desc>& sources);
dnnl::reorder::primitive_desc reorder(const Desc& from, const Desc& to);

/// Copies and converts between two memories now; for preparation, tests and checks.
void copy(const Memory& from, const Memory& to);

}  // namespace dlscale::nn::onednn
