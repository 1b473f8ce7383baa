// SPDX-License-Identifier: BSD-3-Clause
/// Images in memory: IDX files (MNIST, Fashion-MNIST), the synthetic set, or random images.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/graph.hpp"

namespace dlscale::nn {

/// 8-bit images with labels, kept as they were read.
struct ImageSet {
  std::int64_t count = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  ///< count × height × width
  std::vector<std::uint8_t> labels;  ///< count
};

/// How pixels become floats: (pixel / 255 − mean) / deviation.
struct Normalisation {
  double mean = 0.1307, deviation = 0.3081;  ///< MNIST as published
};

struct Dataset {
  std::string name;        ///< "mnist" | "fashion-mnist" | "synthetic" | folder's name
  bool synthetic = false;  ///< said wherever a result is shown
  std::string origin;      ///< folder, or generator with its seed and version
  std::int64_t classes = 10;
  Normalisation normalisation;
  ImageSet train, test;
};

/// One IDX file, plain or gzip by its content, of unsigned bytes with 1 to 4 dimensions. Throws
/// Error(bad_input) naming the file and what is wrong: magic number, element type, dimensions, short or
/// long file, gzip damage. A header that promises more than the file can hold is refused before memory
/// is taken. Source: http://yann.lecun.com/exdb/mnist (format).
struct IdxArray {
  std::vector<std::int64_t> dims;
  std::vector<std::uint8_t> values;
};
IdxArray read_idx(const std::string& path);
/// Plain IDX (unsigned bytes). Throws Error(output_failed).
void write_idx(const std::string& path, const IdxArray& array);

/// A folder with {train,t10k}-{images-idx3,labels-idx1}-ubyte, each optionally .gz, '-' or '.' before
/// idx. Counts must agree, labels be below `classes`; else Error(bad_input) naming the file. A published
/// set (MNIST 0.1307/0.3081, Fashion-MNIST 0.2860/0.3530) is known by its 60,000 training images: the
/// exact sums of their pixels and of the pixels' squares. With SYNTHETIC.txt in the folder the set is
/// synthetic, and normalised as such. Any other is normalised by its training pixels.
std::shared_ptr<const Dataset> load_folder(const std::string& folder, std::int64_t classes = 10);

/// Drawn glyphs, 28 × 28, ten classes, random affine distortion, bend, stroke, clutter and noise: each
/// image a function of (seed, split, index), the same for any number of threads and images. A linear
/// classifier stays below 90 %, the Top Flight CNN reaches 97 % and more (docs/data.md). Normalised by
/// fixed constants: mean and deviation of seed 0.
std::shared_ptr<const Dataset> make_synthetic(std::uint64_t seed, std::int64_t train_count = 60'000,
                                              std::int64_t test_count = 10'000, int threads = 1);
/// The four plain IDX files, and for a synthetic set SYNTHETIC.txt, which says so. The folder is made;
/// one that holds any of these files is refused: Error(output_failed). For tests: no workload writes.
void write_dataset(const Dataset& dataset, const std::string& folder);

/// "synthetic" or a folder. One copy per process as long as somebody holds it.
std::shared_ptr<const Dataset> open_dataset(const std::string& source, std::uint64_t seed, int threads);

/// Floats from `image` of the set: normalised, placed in the middle of a larger input
/// (border = the normalised black), copied to all channels. One image: C × H × W. Rounded as torchvision
/// does, ((pixel / 255) − mean) / deviation in single precision. An input smaller than the image is
/// Error(bad_input). For tests, image by image; loaders keep a Renderer.
void render_image(const ImageSet& set, const Normalisation& normalisation, std::int64_t image,
                  const Shape& input, float* out);

}  // namespace dlscale::nn
