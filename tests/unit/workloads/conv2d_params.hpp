// SPDX-License-Identifier: BSD-3-Clause
/// Cases of conv2d for tests: the defaults with some keys set.
#pragma once

#include <utility>
#include <vector>

#include "workloads/conv2d/conv2d.hpp"

namespace dlscale {

using Overrides = std::vector<std::pair<const char*, Scalar>>;

inline constexpr const char* conv2d_passes[] = {"forward", "backward_data", "backward_weights"};

inline Params params_of(const Overrides& overrides) {
  Params p;
  for (const Key& key : conv2d_keys()) p.set(key.name, key.default_value);
  for (const auto& [key, value] : overrides) p.set(key, value);
  return p;
}

}  // namespace dlscale
