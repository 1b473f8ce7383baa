// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "nn/data/folder.hpp"
#include "nn/data/synthetic.hpp"

namespace dlscale::nn {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw Error(ExitCode::output_failed, "can't write '" + path.string() + "'", why,
              "choose another folder");
}

void write_split(const fs::path& folder, const std::string& split, const ImageSet& set) {
  write_idx((folder / file_names(split, "images-idx3").front()).string(),
            {{set.count, set.height, set.width}, set.pixels});
  write_idx((folder / file_names(split, "labels-idx1").front()).string(), {{set.count}, set.labels});
}

void write_marker(const fs::path& path, const Dataset& set) {
  std::ofstream file(path, std::ios::trunc);
  file
      << "These images are synthetic: drawn by a program, not collected. Results obtained with them say "
         "nothing\nabout MNIST or any other published data set.\n\n"
      << "origin: " << set.origin << "\n"
      << fmt::format("images: {} training, {} test, {} × {}, {} classes\n", set.train.count,
                     set.test.count, set.train.height, set.train.width, set.classes)
      << fmt::format("normalisation: mean {}, deviation {}\n", set.normalisation.mean,
                     set.normalisation.deviation);
  file.close();
  if (!file) refuse(path, "the file system refused");
}

}  // namespace

void write_dataset(const Dataset& dataset, const std::string& folder) {
  const fs::path path(folder);
  std::error_code error;
  fs::create_directories(path, error);
  if (!fs::is_directory(path, error)) refuse(path, "the folder can't be made");
  // Never over or beside other images: a marker would then call them synthetic.
  for (const char* split : {"train", "t10k"})
    for (const char* kind : {"images-idx3", "labels-idx1"})
      for (const std::string& name : file_names(split, kind))
        if (fs::exists(path / name, error)) refuse(path / name, "it is there already");
  if (fs::exists(path / synthetic_marker, error)) refuse(path / synthetic_marker, "it is there already");
  // The marker first: no interruption leaves synthetic images that don't say so.
  if (dataset.synthetic) write_marker(path / synthetic_marker, dataset);
  write_split(path, "train", dataset.train);
  write_split(path, "t10k", dataset.test);
}

}  // namespace dlscale::nn
