// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace dlscale::nn {
namespace {

void look_up(const std::uint8_t* in, std::int64_t count, const std::array<float, 256>& table,
             float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = table[in[i]];
}

}  // namespace

Renderer::Renderer(const ImageSet& set, const Normalisation& normalisation, const Shape& input)
    : set_(set), input_(input) {
  if (input.channels < 1 || input.height < set.height || input.width < set.width)
    throw Error(ExitCode::bad_input,
                fmt::format("images of {} × {} don't fit an input of {} × {} × {}", set.height,
                            set.width, input.channels, input.height, input.width),
                "images are placed in the middle of the input, never cut",
                "choose a model with a larger input, or data=random");
  // In single precision and in this order, as torchvision's ToTensor and Normalize: the same bits.
  const auto mean = static_cast<float>(normalisation.mean);
  const auto deviation = static_cast<float>(normalisation.deviation);
  for (std::size_t value = 0; value < table_.size(); ++value)
    table_[value] = (static_cast<float>(value) / 255.F - mean) / deviation;
}

void Renderer::operator()(std::int64_t image, float* out) const {
  const std::int64_t pixels = set_.height * set_.width, plane = input_.height * input_.width;
  const std::uint8_t* in = set_.pixels.data() + image * pixels;
  if (plane == pixels) {
    look_up(in, pixels, table_, out);
  } else {
    const std::int64_t top = (input_.height - set_.height) / 2, left = (input_.width - set_.width) / 2;
    std::fill_n(out, plane, table_[0]);
    for (std::int64_t row = 0; row < set_.height; ++row)
      look_up(in + row * set_.width, set_.width, table_, out + (top + row) * input_.width + left);
  }
  for (std::int64_t channel = 1; channel < input_.channels; ++channel)
    std::memcpy(out + channel * plane, out, static_cast<std::size_t>(plane) * sizeof(float));
}

void render_image(const ImageSet& set, const Normalisation& normalisation, std::int64_t image,
                  const Shape& input, float* out) {
  if (image < 0 || image >= set.count)
    throw Error(ExitCode::bad_input, fmt::format("no image {}", image),
                fmt::format("the set has {}", set.count));
  Renderer(set, normalisation, input)(image, out);
}

}  // namespace dlscale::nn
