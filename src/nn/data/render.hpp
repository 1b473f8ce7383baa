// SPDX-License-Identifier: BSD-3-Clause
/// From 8-bit pixels to a model's input.
#pragma once

#include <array>

#include "nn/data/dataset.hpp"

namespace dlscale::nn {

class Renderer {
 public:
  /// Throws Error(bad_input) if the images are larger than the input.
  Renderer(const ImageSet& set, const Normalisation& normalisation, const Shape& input);
  void operator()(std::int64_t image, float* out) const;

 private:
  const ImageSet& set_;
  Shape input_;
  std::array<float, 256> table_;  // of every pixel value
};

}  // namespace dlscale::nn
