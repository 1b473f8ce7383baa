// SPDX-License-Identifier: BSD-3-Clause
/// The reference layers by kind. All take inputs and parameters from the layer; backward() fills its
/// gradients, which come sized and zero.
#pragma once

#include "nn/reference/reference.hpp"

namespace dlscale::nn {

/// Whether so many multiply-adds are worth waking threads.
inline bool worth_threads(std::int64_t work) {
  return work > 1'000'000;
}

/// Output positions [first, last) whose tap `offset` = kernel index − padding lies inside `size` pixels.
struct TapRange {
  std::int64_t first, last;
};
TapRange tap_range(std::int64_t offset, std::int64_t stride, std::int64_t size, std::int64_t outputs);

Values conv_forward(const ReferenceLayer& l);
void conv_backward(ReferenceLayer& l, const Values& dy);
Values dense_forward(const ReferenceLayer& l);
void dense_backward(ReferenceLayer& l, const Values& dy);
Values batch_norm_forward(ReferenceLayer& l);
void batch_norm_backward(ReferenceLayer& l, const Values& dy);
Values max_pool_forward(const ReferenceLayer& l);
void max_pool_backward(ReferenceLayer& l, const Values& dy);
Values avg_pool_forward(const ReferenceLayer& l);
void avg_pool_backward(ReferenceLayer& l, const Values& dy);
Values concat_forward(const ReferenceLayer& l);
void concat_backward(ReferenceLayer& l, const Values& dy);
Values zero_pad_forward(const ReferenceLayer& l);
void zero_pad_backward(ReferenceLayer& l, const Values& dy);
Values loss_forward(const ReferenceLayer& l);
void loss_backward(ReferenceLayer& l, const Values& dy);

}  // namespace dlscale::nn
