// SPDX-License-Identifier: BSD-3-Clause
/// Cases of train for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "workloads/train/train.hpp"

namespace dlscale {

using Overrides = std::vector<std::pair<const char*, Scalar>>;

inline Params train_params(const Overrides& overrides) {
  Params p;
  for (const Key& key : train_keys()) p.set(key.name, key.default_value);
  for (const auto& [key, value] : overrides) p.set(key, value);
  return p;
}

inline Scalar whole(std::int64_t value) {
  return value;
}
inline Scalar text(const char* value) {
  return std::string(value);
}

/// A small case of whole epochs: 6 steps of 8 images, the last of 3; 21 test images.
inline Params epochs_case(const Overrides& more = {}) {
  Params p = train_params({{"batch", whole(8)},
                           {"train_images", whole(43)},
                           {"test_images", whole(21)},
                           {"test_batch", whole(10)},
                           {"whole_epochs", true}});
  for (const auto& [key, value] : more) p.set(key, value);
  return p;
}

inline std::unique_ptr<Workload> prepared(const Params& params, std::uint64_t seed = 42) {
  WorkContext context;
  context.params = params;
  context.seed = seed;
  auto workload = find_entry("train", "cpu")->make(context);
  workload->prepare();
  return workload;
}

inline bool contains(const std::string& whole_text, const std::string& part) {
  return whole_text.find(part) != std::string::npos;
}

}  // namespace dlscale
