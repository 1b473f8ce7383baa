// SPDX-License-Identifier: BSD-3-Clause
/// Names inside a folder with an image set, for its reader and its writer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/data/dataset.hpp"

namespace dlscale::nn {

/// Ways in which one of the four files may be called: split is "train" or "t10k", kind "images-idx3" or
/// "labels-idx1". The first is the one written.
std::vector<std::string> file_names(const std::string& split, const std::string& kind);

/// A published set that was recognised by its training pixels, if it is one.
struct Published {
  std::string name;
  Normalisation normalisation;
};
std::optional<Published> recognise(const ImageSet& train);

/// Mean and standard deviation of all pixels / 255.
Normalisation measure_pixels(const ImageSet& set);

}  // namespace dlscale::nn
