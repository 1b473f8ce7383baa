// SPDX-License-Identifier: BSD-3-Clause
/// Models by name: one small function each, in models/.
#pragma once

#include <span>
#include <string_view>

#include "nn/graph.hpp"

namespace dlscale::nn {

/// What can be varied without changing what a model is. 0 = the model's own value.
struct ModelOptions {
  std::int64_t image = 0;    ///< height and width of the input
  std::int64_t classes = 0;  ///< outputs of the last layer
  double dropout = -1;       ///< rate of every dropout layer; negative = the model's own
};

struct Model {
  std::string_view name;         ///< "topflight-cnn"
  std::string_view description;  ///< one line, with its source
  Shape input;                   ///< its own
  std::int64_t classes = 0;      ///< its own
  std::int64_t smallest_image = 1;
  Graph (*build)(const ModelOptions&);  ///< loss included
};

std::span<const Model> models();
/// nullptr for an unknown name.
const Model* find_model(std::string_view name);

}  // namespace dlscale::nn
