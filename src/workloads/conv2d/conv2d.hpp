// SPDX-License-Identifier: BSD-3-Clause
/// One pass of a convolution on every rank by itself: y(n,k,p,q) = Σ x(n,c,h,w)·w(k,c,r,s), or the
/// gradient of x or of w. Cross-correlation, no bias.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/reference/reference.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// Streams of the seeded data (device/random.hpp): element i in canonical layout, batch × C × H × W or
/// K × C/groups × R × S, is uniform_at(key, i). A pass draws the two operands that it reads.
enum class Conv2dOperand : std::uint64_t { x = 1, w = 2, y = 3 };

/// A case as read from its keys.
struct Conv2dCase {
  nn::ConvProblem problem;
  nn::ConvPass pass = nn::ConvPass::forward;
  nn::Precision precision = nn::Precision::f32;
  std::string algorithm = "auto";  ///< auto | direct | winograd

  nn::Shape out() const;  ///< of one image
  /// What the pass writes; it reads the other two.
  Conv2dOperand result() const;
  /// Values of input, weights and output (or of their gradients).
  std::int64_t count(Conv2dOperand operand) const;
};
Conv2dCase conv2d_case(const Params& params);

/// The pure half, shared by all variants.
std::vector<Key> conv2d_keys();
std::vector<Params> conv2d_examples();
std::string conv2d_validate(const Params& params);
/// `held_bytes`: of operands and scratch, as a library lays them out; 0 = the operands by themselves.
Cost conv2d_cost(const Params& params, double held_bytes);
/// Multiply-add peak of the case's type, and memory.
std::vector<Roof> conv2d_roofs(const Params& params);

}  // namespace dlscale
