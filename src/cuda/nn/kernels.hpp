// SPDX-License-Identifier: BSD-3-Clause
/// What cuDNN and cuBLASLt are not needed for: all of it is bound by memory. Asynchronous; sums are f32
/// in a fixed order unless said otherwise, so that the same step gives the same bits.
#pragma once

#include "cuda/nn/types.hpp"
#include "cuda/stream.hpp"

namespace dlscale::cuda::dnn {

// --- elementwise.cu
/// Images (f32, batch × C × H × W) and labels as loaded into the tensors of a step; what differs in this
/// step; results cleared. `labels` may be nullptr: then all are −1.
void begin_step(const float* images, const std::int32_t* labels, Type type, void* input,
                std::int32_t* step_labels, const Dims& dims, const StepInputs& values,
                StepInputs* step_inputs, StepResults* results, const Stream& stream);
void convert(Type from_type, const void* from, Type to_type, void* to, std::size_t count,
             const Stream& stream);
/// y = from + bias, then perhaps max(·, 0); bias f32, one per channel, may be nullptr.
void bias_relu(const float* from, const float* bias, bool relu, Type type, void* y, unsigned rows,
               unsigned channels, const Stream& stream);
/// Every row of y becomes the channels' values.
void spread_rows(Type type, const void* row, void* y, unsigned rows, unsigned channels,
                 const Stream& stream);
void relu_forward(Type type, const void* x, void* y, std::size_t count, const Stream& stream);
/// dx = dy where y > 0, else 0.
void relu_backward(Type type, const void* y, const void* dy, void* dx, std::size_t count,
                   const Stream& stream);
void add(Type type, const void* a, const void* b, void* sum, std::size_t count, const Stream& stream);
/// Forward and backward alike: kept by 16 bits of a function of (key of the step ^ mask, index), as on
/// the CPU.
void dropout(Type type, const void* from, void* to, std::size_t count, double rate, std::uint64_t mask,
             const StepInputs* inputs, const Stream& stream);
/// Of a larger tensor one block to a smaller one or the reverse: `part` lies in `whole` from
/// (top, left, channel) on.
void copy_out(Type type, const void* whole, const Dims& whole_dims, int top, int left, int channel,
              void* part, const Dims& part_dims, const Stream& stream);
void copy_in(Type type, const void* part, const Dims& part_dims, void* whole, const Dims& whole_dims,
             int top, int left, int channel, const Stream& stream);
/// `whole` around `part` becomes zero.
void pad(Type type, const void* part, const Dims& part_dims, void* whole, const Dims& whole_dims,
         int top, int left, const Stream& stream);

// --- column_sums.cu. Rows × channels; per-channel values are f32.
/// Bytes of scratch that the sums of a tensor's channels need.
std::size_t sums_scratch_bytes(unsigned rows, unsigned channels);
/// sums[c] = Σ over rows.
void column_sums(Type type, const void* x, unsigned rows, unsigned channels, float* sums, void* scratch,
                 const Stream& stream);

// --- norm.cu. Rows × channels; per-channel values are f32.
struct NormLayer {
  float epsilon = 0, momentum = 0;
  bool relu = false;
  const float *gamma = nullptr, *beta = nullptr;
  float *mean = nullptr, *variance = nullptr;  ///< of the batch, biased
  float *running_mean = nullptr, *running_variance = nullptr;
};
/// Statistics of the batch, running ones (with the unbiased variance), y = (x − μ)·γ/√(σ² + ε) + β.
void norm_training(Type type, const void* x, void* y, unsigned rows, unsigned channels,
                   const NormLayer& layer, void* scratch, const Stream& stream);
/// With the running statistics.
void norm_inference(Type type, const void* x, void* y, unsigned rows, unsigned channels,
                    const NormLayer& layer, const Stream& stream);
/// dγ, dβ, and dx unless it is nullptr. What a fused ReLU let through is computed anew from x.
void norm_backward(Type type, const void* x, const void* dy, void* dx, unsigned rows, unsigned channels,
                   const NormLayer& layer, float* dgamma, float* dbeta, void* scratch,
                   const Stream& stream);

// --- pool.cu
/// `places`: for the backward pass, one per output; the first maximum in row-major order, NaN wins.
void max_pool_forward(Type type, const void* x, const Dims& in, void* y, std::uint16_t* places,
                      const Dims& out, const PoolWindow& window, const Stream& stream);
void max_pool_backward(Type type, const void* dy, const std::uint16_t* places, const Dims& out, void* dx,
                       const Dims& in, const PoolWindow& window, const Stream& stream);
/// Divided by the window's size if `include_padding`, else by its pixels inside the input.
void avg_pool_forward(Type type, const void* x, const Dims& in, void* y, const Dims& out,
                      const PoolWindow& window, bool include_padding, const Stream& stream);
void avg_pool_backward(Type type, const void* dy, const Dims& out, void* dx, const Dims& in,
                       const PoolWindow& window, bool include_padding, const Stream& stream);

// --- loss.cu
/// Mean loss (summed in f64) and images whose largest logit is their label's, to `results`; gradient
/// (softmax − one-hot) / batch unless it is nullptr. `rows`: scratch of loss_scratch_bytes().
std::size_t loss_scratch_bytes(int batch);
void softmax_cross_entropy(Type type, const void* logits, const std::int32_t* labels, int batch,
                           int classes, Type gradient_type, void* gradient, void* rows,
                           StepResults* results, const Stream& stream);

// --- optimizer.cu
/// One step over `count` values, a multiple of 4; formulas and order of nn/optimizer_kernels.hpp, with
/// this `scale`. `copy`: the parameters as bf16, may be nullptr.
void sgd_update(const StepInputs* inputs, float scale, std::size_t count, float* w, const float* g,
                float* v, void* copy, StepResults* results, const Stream& stream);
void adam_update(const StepInputs* inputs, float scale, std::size_t count, float* w, const float* g,
                 float* m, float* v, void* copy, StepResults* results, const Stream& stream);

}  // namespace dlscale::cuda::dnn
