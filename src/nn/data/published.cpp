// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cmath>

#include "nn/data/folder.hpp"

namespace dlscale::nn {
namespace {

struct Moments {
  std::uint64_t count = 0, sum = 0, squares = 0;
  bool operator==(const Moments&) const = default;
};

Moments moments_of(const ImageSet& set) {
  std::array<std::uint64_t, 256> histogram{};
  for (const std::uint8_t pixel : set.pixels) ++histogram[pixel];
  Moments m;
  for (std::uint64_t value = 0; value < histogram.size(); ++value) {
    m.count += histogram[value];
    m.sum += value * histogram[value];
    m.squares += value * value * histogram[value];
  }
  return m;
}

struct Known {
  Moments moments;
  const char* name;
  Normalisation normalisation;
};

// Exact sums over the 60,000 × 28 × 28 training pixels. They follow from the published mean and standard
// deviation to 16 digits (MNIST 33.318421449829934, 78.56748998339798; Fashion-MNIST 72.94035223214286,
// 90.02118235130519), which multiplied by the number of pixels give whole numbers.
constexpr std::uint64_t published_pixels = 60'000ULL * 28 * 28;
constexpr Known known[] = {
    {{published_pixels, 1'567'298'545, 342'590'800'147}, "mnist", {0.1307, 0.3081}},
    {{published_pixels, 3'431'114'169, 631'470'052'347}, "fashion-mnist", {0.2860, 0.3530}},
};

}  // namespace

std::optional<Published> recognise(const ImageSet& train) {
  const Moments moments = moments_of(train);
  for (const Known& set : known)
    if (train.height == 28 && train.width == 28 && moments == set.moments)
      return Published{set.name, set.normalisation};
  return std::nullopt;
}

Normalisation measure_pixels(const ImageSet& set) {
  const Moments m = moments_of(set);
  const double count = static_cast<double>(m.count);
  const double mean = static_cast<double>(m.sum) / count;
  const double variance = std::fmax(0, static_cast<double>(m.squares) / count - mean * mean);
  // All pixels alike: there is nothing to divide by.
  return {mean / 255, variance > 0 ? std::sqrt(variance) / 255 : 1};
}

}  // namespace dlscale::nn
