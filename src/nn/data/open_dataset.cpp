// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <map>
#include <mutex>

#include "nn/data/dataset.hpp"

namespace dlscale::nn {

std::shared_ptr<const Dataset> open_dataset(const std::string& source, std::uint64_t seed, int threads) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const Dataset>> open;

  const bool synthetic = source == "synthetic";
  std::error_code error;
  const std::string path = std::filesystem::weakly_canonical(source, error).string();
  // A folder's images don't depend on the seed.
  const std::string key =
      synthetic ? "synthetic " + std::to_string(seed) : "folder " + (error ? source : path);

  const std::lock_guard lock(mutex);  // also while it loads: a second asker waits for the same copy
  if (auto held = open[key].lock()) return held;
  auto made = synthetic ? make_synthetic(seed, 60'000, 10'000, threads) : load_folder(source);
  open[key] = made;
  return made;
}

}  // namespace dlscale::nn
