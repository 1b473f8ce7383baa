// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/folder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "nn/data/gzip.hpp"
#include "nn/data/synthetic.hpp"

namespace dlscale::nn {
namespace fs = std::filesystem;
namespace {

std::string find_file(const std::string& folder, const std::string& split, const std::string& kind) {
  const std::vector<std::string> names = file_names(split, kind);
  for (const std::string& name : names) {
    std::error_code error;
    if (const fs::path path = fs::path(folder) / name; fs::exists(path, error)) return path.string();
  }
  throw Error(ExitCode::bad_input, "no " + split + "-" + kind + " file in '" + folder + "'",
              fmt::format("tried {}", fmt::join(names, ", ")),
              "fetch a published set with jobs/fetch-data.sh, or use data=synthetic");
}

ImageSet read_split(const std::string& folder, const std::string& split, std::int64_t classes) {
  const std::string image_path = find_file(folder, split, "images-idx3");
  const std::string label_path = find_file(folder, split, "labels-idx1");
  IdxArray images = read_idx(image_path), labels = read_idx(label_path);
  if (images.dims.size() != 3)
    refuse_file(image_path, fmt::format("images have 3 dimensions, it has {}", images.dims.size()));
  if (labels.dims.size() != 1)
    refuse_file(label_path, fmt::format("labels have 1 dimension, it has {}", labels.dims.size()));
  if (images.dims[0] != labels.dims[0])
    refuse_file(label_path, fmt::format("it has {} labels for the {} images of '{}'", labels.dims[0],
                                        images.dims[0], image_path));
  const auto wrong = std::find_if(labels.values.begin(), labels.values.end(),
                                  [&](std::uint8_t label) { return label >= classes; });
  if (wrong != labels.values.end())
    refuse_file(label_path, fmt::format("label {} of image {} is not in 0 … {}", *wrong,
                                        wrong - labels.values.begin(), classes - 1));
  return {images.dims[0], images.dims[1], images.dims[2], std::move(images.values),
          std::move(labels.values)};
}

/// The line of the marker that says where the images came from; empty without a marker.
std::string marked_origin(const std::string& folder) {
  std::ifstream file(fs::path(folder) / synthetic_marker);
  const std::string key = "origin: ";
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return line.substr(key.size());
  return {};
}

void check_images(const Dataset& set, const std::string& folder) {
  if (set.train.height == set.test.height && set.train.width == set.test.width) return;
  throw Error(ExitCode::bad_input, "can't use '" + folder + "'",
              fmt::format("its training images are {} × {}, its test images {} × {}", set.train.height,
                          set.train.width, set.test.height, set.test.width));
}

}  // namespace

std::vector<std::string> file_names(const std::string& split, const std::string& kind) {
  std::string dotted = kind;
  dotted[dotted.rfind('-')] = '.';
  std::vector<std::string> names;
  for (const std::string& base : {split + "-" + kind + "-ubyte", split + "-" + dotted + "-ubyte"})
    for (const char* suffix : {"", ".gz"}) names.push_back(base + suffix);
  return names;
}

std::shared_ptr<const Dataset> load_folder(const std::string& folder, std::int64_t classes) {
  if (classes < 1 || classes > 256)
    throw Error(ExitCode::bad_input, fmt::format("can't read labels of {} classes", classes),
                "a label is one byte", "give 1 to 256");
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error(ExitCode::bad_input, "can't use data '" + folder + "'", "there is no such folder",
                "give synthetic, random, or a folder made by jobs/fetch-data.sh");
  auto set = std::make_shared<Dataset>();
  set->classes = classes;
  set->train = read_split(folder, "train", classes);
  set->test = read_split(folder, "t10k", classes);
  check_images(*set, folder);

  const fs::path full = fs::canonical(folder, error);
  set->origin = error ? folder : full.string();
  set->name = error ? folder : full.filename().string();
  if (fs::exists(fs::path(folder) / synthetic_marker, error)) {
    set->synthetic = true;
    set->name = "synthetic";
    if (const std::string origin = marked_origin(folder); !origin.empty())
      set->origin = fmt::format("{} ({})", set->origin, origin);
    set->normalisation = synthetic_normalisation();
  } else if (const auto published = recognise(set->train)) {
    set->name = published->name;
    set->normalisation = published->normalisation;
  } else {
    set->normalisation = measure_pixels(set->train);
  }
  return set;
}

}  // namespace dlscale::nn
