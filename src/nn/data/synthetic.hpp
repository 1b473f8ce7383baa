// SPDX-License-Identifier: BSD-3-Clause
/// What is fixed about the synthetic set; docs/data.md says how hard it is.
#pragma once

#include <cstdint>
#include <string>

#include "nn/data/dataset.hpp"

namespace dlscale::nn {

/// Raised with every change of the pixels: results of different versions can't be compared.
inline constexpr int synthetic_version = 1;
inline constexpr const char* synthetic_marker = "SYNTHETIC.txt";

enum class Split : std::uint64_t { train = 0, test = 1 };

/// Fixed, so that it depends neither on the seed nor on the number of images: mean and standard
/// deviation of the 47,040,000 training pixels of seed 0, to four digits.
Normalisation synthetic_normalisation();

/// Image `index` of a split, 28 × 28, and its label: a function of the arguments alone.
std::uint8_t draw_synthetic(std::uint64_t seed, Split split, std::int64_t index, std::uint8_t* pixels);

/// "dlscale synthetic glyphs version 1, seed 7"
std::string synthetic_origin(std::uint64_t seed);

}  // namespace dlscale::nn
