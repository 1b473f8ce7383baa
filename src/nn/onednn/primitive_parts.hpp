// SPDX-License-Identifier: BSD-3-Clause
/// What makes primitive descriptors of both interfaces: primitives_v2.cpp and primitives_v3.cpp.
#pragma once

#include <optional>

#include "nn/onednn/primitives.hpp"

namespace dlscale::nn::onednn {

/// Scratch memory is the caller's.
inline dnnl::primitive_attr attributes(const dnnl::post_ops& after = {}) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(after);
  return attr;
}

/// The library answers "unimplemented" by an exception as well; everything else goes on up.
template <class Make>
auto if_implemented(Make make) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_unimplemented) return std::nullopt;
    throw;
  }
}

inline auto norm_flags(bool global, bool relu) {
  using Flags = dnnl::normalization_flags;
  Flags flags = Flags::use_scale | Flags::use_shift;
  if (global) flags |= Flags::use_global_stats;
  if (relu) flags |= Flags::fuse_norm_relu;
  return flags;
}

}  // namespace dlscale::nn::onednn
