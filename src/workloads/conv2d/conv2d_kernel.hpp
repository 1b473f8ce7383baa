// SPDX-License-Identifier: BSD-3-Clause
/// What oneDNN offers for a case, found without generating code.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "nn/onednn/primitives.hpp"
#include "workloads/conv2d/conv2d.hpp"

namespace dlscale {

/// What `algorithm = auto` tries, in this order.
inline constexpr std::array<const char*, 2> conv2d_algorithms = {"direct", "winograd"};

/// One implementation with the layouts it wants.
struct Conv2dImplementation {
  std::string algorithm;                   ///< direct | winograd
  std::string name;                        ///< the library's own words: "jit:avx512_core"
  nn::onednn::Desc x, w, y, scratch;       ///< x, w, y: input, weights, output or their gradients
  int x_argument, w_argument, y_argument;  ///< what the primitive calls them
  std::function<dnnl::primitive()> make;   ///< generates the code: slow
};

/// `algorithm`: one of conv2d_algorithms; nothing if the library does not have it for this case here.
std::optional<Conv2dImplementation> find_conv2d(const Conv2dCase& c, const std::string& algorithm);

/// Operands and scratch memory of the largest implementation that prepare() tries, one at a time, and
/// the largest input as it is drawn, in canonical f32.
double conv2d_held_bytes(const Conv2dCase& c, int threads);

/// Entry::unavailable: bf16 without the instructions, or nothing for this case in the library.
std::string conv2d_unavailable(const Params& params);

}  // namespace dlscale
