// SPDX-License-Identifier: BSD-3-Clause
#include "nn/models.hpp"

#include <fmt/format.h>

#include <array>

#include "base/error.hpp"
#include "nn/models/pieces.hpp"

namespace dlscale::nn {

std::span<const Model> models() {
  static const std::array<Model, 4> all = {topflight_cnn(), aalto_conv2d(), vgg19(), resnet50v2()};
  return all;
}

const Model* find_model(std::string_view name) {
  for (const Model& model : models())
    if (model.name == name) return &model;
  return nullptr;
}

Graph start_model(const Model& model, const ModelOptions& options) {
  constexpr std::int64_t largest = 65536;  // beyond it, products of sizes leave 64 bits
  Shape input = model.input;
  if (options.image != 0) input.height = input.width = options.image;
  if (input.height < model.smallest_image || input.height > largest)
    throw Error(
        ExitCode::bad_input,
        fmt::format("model '{}' can't take images of {} x {}", model.name, input.height, input.width),
        fmt::format("they must be {} to {} pixels wide", model.smallest_image, largest));
  return {std::string(model.name), input};
}

std::int64_t classes_of(const Model& model, const ModelOptions& options) {
  const std::int64_t classes = options.classes != 0 ? options.classes : model.classes;
  constexpr std::int64_t most = std::int64_t{1} << 24;
  if (classes < 2 || classes > most)
    throw Error(ExitCode::bad_input,
                fmt::format("model '{}' can't have {} classes", model.name, classes),
                fmt::format("there must be 2 to {}", most));
  return classes;
}

void pooled_classifier(Graph& graph, int from, std::int64_t classes) {
  from = graph.global_avg_pool(from, "avg_pool");
  graph.loss(graph.dense(from, "predictions", classes));
}

}  // namespace dlscale::nn
