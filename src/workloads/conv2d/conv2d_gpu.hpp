// SPDX-License-Identifier: BSD-3-Clause
/// The pure half of conv2d on a GPU.
#pragma once

#include "workloads/conv2d/conv2d.hpp"

namespace dlscale {

/// `x` with the zeros that cuDNN can't think of: height and width with all padding where opposite sides
/// differ, else as it is. What remains for the library to pad is in `window`.
struct Conv2dPadded {
  nn::Shape in;
  nn::Window window;
};
Conv2dPadded conv2d_padded(const nn::ConvProblem& problem);

}  // namespace dlscale
