// SPDX-License-Identifier: BSD-3-Clause
/// What the models share: reading their options, and bases that several models begin with.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "nn/models.hpp"

namespace dlscale::nn {

/// The graph of `model` with its input as `options` ask; refuses images outside
/// [smallest_image, 65536] and fewer than two classes.
Graph start_model(const Model& model, const ModelOptions& options);
/// Outputs of the last layer.
std::int64_t classes_of(const Model& model, const ModelOptions& options);

/// Convolutions of VGG19: five blocks, each halving the image; 20,024,384 parameters on three channels.
/// Returns the last pool. Source: Simonyan, Zisserman 2015 (arXiv:1409.1556), Keras Applications.
int vgg19_base(Graph& graph, int from, const std::string& prefix);

/// Blocks in each of the four stages.
using ResnetDepths = std::array<int, 4>;
inline constexpr ResnetDepths resnet50_depths{3, 4, 6, 3}, resnet152_depths{3, 8, 36, 3};

/// ResNetV2 (pre-activation) up to the last batch norm and ReLU, as Keras Applications builds it: the
/// stride sits in the last block of the first three stages. Source: He et al. 2016 (arXiv:1603.05027).
int resnet_v2_base(Graph& graph, int from, const std::string& prefix, const ResnetDepths& depths);

/// Global average pooling, a dense layer and the loss.
void pooled_classifier(Graph& graph, int from, std::int64_t classes);

// The models, one file each.
const Model& topflight_cnn();
const Model& aalto_conv2d();
const Model& vgg19();
const Model& resnet50v2();

}  // namespace dlscale::nn
