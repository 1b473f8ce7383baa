// SPDX-License-Identifier: BSD-3-Clause
// Numbers from the models' sources and their published parameter counts.
#include "nn/models.hpp"

#include <algorithm>
#include <string_view>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "nn/models/pieces.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

/// One row of a layer table. Parameters of a batch norm count its running statistics, as Keras does.
struct Row {
  const char* name;
  Op op;
  Shape in, out;
  std::int64_t kernel, stride, pad_low, pad_high, parameters;
  double macs;
};

const Layer& find(const Graph& graph, std::string_view name) {
  const auto& layers = graph.layers();
  const auto found =
      std::find_if(layers.begin(), layers.end(), [&](const Layer& one) { return one.name == name; });
  REQUIRE(found != layers.end());
  return *found;
}

std::int64_t keras_parameters(const Graph& graph, const Layer& layer) {
  std::int64_t sum = layer.op == Op::batch_norm ? 2 * layer.in.channels : 0;
  for (const int id : layer.parameters) sum += graph.parameters()[static_cast<std::size_t>(id)].count();
  return sum;
}

void compare(const Graph& graph, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const Layer& layer = find(graph, row.name);
    const Window& window = layer.window;
    INFO(graph.name() << ", layer " << row.name);
    CHECK(layer.op == row.op);
    CHECK(layer.in == row.in);
    CHECK(layer.out == row.out);
    CHECK(keras_parameters(graph, layer) == row.parameters);
    CHECK(layer.forward_macs() == row.macs);
    if (row.kernel == 0) continue;
    CHECK((window.kernel_h == row.kernel && window.kernel_w == row.kernel));
    CHECK((window.stride_h == row.stride && window.stride_w == row.stride));
    CHECK((window.pad_top == row.pad_low && window.pad_left == row.pad_low));
    CHECK((window.pad_bottom == row.pad_high && window.pad_right == row.pad_high));
  }
}

Graph build(const char* name, const ModelOptions& options = {}) {
  const Model* model = find_model(name);
  REQUIRE(model != nullptr);
  return model->build(options);
}

/// Convolutions alone, as published counts leave the top out.
Graph base(const ResnetDepths* depths, std::int64_t image) {
  Graph graph("base", {3, image, image});
  if (depths == nullptr)
    vgg19_base(graph, graph.input(), "");
  else
    resnet_v2_base(graph, graph.input(), "r.", *depths);
  return graph;
}

}  // namespace

TEST_CASE("topflight-cnn is the network of its source, row by row") {
  const Graph graph = build("topflight-cnn");
  compare(graph, {{"conv1", Op::conv, {1, 28, 28}, {32, 28, 28}, 3, 1, 1, 1, 320, 225792},
                  {"bn1", Op::batch_norm, {32, 28, 28}, {32, 28, 28}, 0, 0, 0, 0, 128, 0},
                  {"pool1", Op::max_pool, {32, 28, 28}, {32, 14, 14}, 2, 2, 0, 0, 0, 0},
                  {"conv2", Op::conv, {32, 14, 14}, {64, 14, 14}, 3, 1, 1, 1, 18496, 3612672},
                  {"bn2", Op::batch_norm, {64, 14, 14}, {64, 14, 14}, 0, 0, 0, 0, 256, 0},
                  {"pool2", Op::max_pool, {64, 14, 14}, {64, 7, 7}, 2, 2, 0, 0, 0, 0},
                  {"conv3", Op::conv, {64, 7, 7}, {128, 7, 7}, 3, 1, 1, 1, 73856, 3612672},
                  {"bn3", Op::batch_norm, {128, 7, 7}, {128, 7, 7}, 0, 0, 0, 0, 512, 0},
                  {"pool3", Op::max_pool, {128, 7, 7}, {128, 3, 3}, 2, 2, 0, 0, 0, 0},
                  {"fc1", Op::dense, {128, 3, 3}, {256, 1, 1}, 0, 0, 0, 0, 295168, 294912},
                  {"dropout1", Op::dropout, {256, 1, 1}, {256, 1, 1}, 0, 0, 0, 0, 0, 0},
                  {"fc2", Op::dense, {256, 1, 1}, {128, 1, 1}, 0, 0, 0, 0, 32896, 32768},
                  {"dropout2", Op::dropout, {128, 1, 1}, {128, 1, 1}, 0, 0, 0, 0, 0, 0},
                  {"fc3", Op::dense, {128, 1, 1}, {10, 1, 1}, 0, 0, 0, 0, 1290, 1280}});
  CHECK(graph.parameter_count() == 422'474);
  CHECK(graph.trainable_count() == 422'474);
  CHECK(graph.statistics_count() == 448);
  CHECK(graph.forward_flops() == 15'560'192);
  CHECK(graph.training_flops() == 46'228'992);
  // The order matters: batch norm before ReLU before pool; ReLU before dropout.
  std::vector<std::string> order;
  for (const Layer& layer : graph.layers()) order.push_back(layer.name);
  CHECK(order == std::vector<std::string>{"input",    "conv1", "bn1",   "relu1",    "pool1", "conv2",
                                          "bn2",      "relu2", "pool2", "conv3",    "bn3",   "relu3",
                                          "pool3",    "fc1",   "relu4", "dropout1", "fc2",   "relu5",
                                          "dropout2", "fc3",   "loss"});
  CHECK(find(graph, "dropout1").rate == 0.5);
  CHECK(find(graph, "bn1").epsilon == 1e-5);
  CHECK(find(graph, "bn1").momentum == 0.1);
}

TEST_CASE("aalto-conv2d is the network of its source, row by row") {
  const Graph graph = build("aalto-conv2d");
  compare(graph, {{"conv1", Op::conv, {3, 32, 32}, {2048, 16, 16}, 3, 2, 0, 1, 57344, 14155776},
                  {"pool1", Op::avg_pool, {2048, 16, 16}, {2048, 8, 8}, 2, 2, 0, 0, 0, 0},
                  {"conv2", Op::conv, {2048, 8, 8}, {128, 4, 4}, 3, 2, 0, 1, 2359424, 37748736},
                  {"pool2", Op::avg_pool, {128, 4, 4}, {128, 2, 2}, 2, 2, 0, 0, 0, 0},
                  {"conv3", Op::conv, {128, 2, 2}, {64, 1, 1}, 3, 2, 0, 1, 73792, 73728},
                  {"pool3", Op::avg_pool, {64, 1, 1}, {64, 1, 1}, 2, 2, 0, 1, 0, 0},
                  {"fc1", Op::dense, {64, 1, 1}, {10, 1, 1}, 0, 0, 0, 0, 650, 640}});
  CHECK(graph.parameter_count() == 2'491'210);
  CHECK(graph.forward_flops() == 2.0 * 51'978'880);
  CHECK(graph.training_flops() == 283'561'728);
  CHECK(graph.layers().size() == 9);  // no activation anywhere
  CHECK(!find(graph, "pool3").include_padding);
}

TEST_CASE("VGG19 has the published size, and Aalto's model A can be built on it") {
  const Graph large = base(nullptr, 224);
  CHECK(large.parameter_count() == 20'024'384);
  CHECK(large.statistics_count() == 0);
  CHECK(large.forward_flops() / 1e9 == Approx(39.02).epsilon(2e-4));
  CHECK(large.layers().back().out == Shape{512, 7, 7});

  Graph model("model A", {3, 32, 32});
  model.trainable(false);
  int at = vgg19_base(model, model.input(), "");
  compare(model, {{"block1_conv1", Op::conv, {3, 32, 32}, {64, 32, 32}, 3, 1, 1, 1, 1792, 1769472},
                  {"block2_pool", Op::max_pool, {128, 16, 16}, {128, 8, 8}, 2, 2, 0, 0, 0, 0},
                  {"block3_conv4", Op::conv, {256, 8, 8}, {256, 8, 8}, 3, 1, 1, 1, 590080, 37748736},
                  {"block5_conv4", Op::conv, {512, 2, 2}, {512, 2, 2}, 3, 1, 1, 1, 2359808, 9437184},
                  {"block5_pool", Op::max_pool, {512, 2, 2}, {512, 1, 1}, 2, 2, 0, 0, 0, 0}});
  model.trainable(true);
  for (const char* name : {"c1", "c2", "c3", "c4"})
    at = model.conv(at, name, 128, {Window::square(3, 1, 1)});
  at = model.dense(model.global_avg_pool(at, "gap"), "d1", 4096);
  model.loss(model.dense(model.dense(model.dense(at, "d2", 2048), "d3", 128), "d4", 10));
  CHECK(model.parameter_count() == 30'239'690);
  CHECK(model.trainable_count() == 10'215'306);
  CHECK(model.forward_flops() == 2.0 * 408'339'712);
  CHECK(model.training_flops() / 1e6 == Approx(856.33).epsilon(1e-5));
}

TEST_CASE("ResNetV2 has the published sizes, running statistics included") {
  // Keras' published counts hold γ, β and both running statistics: learned values plus statistics.
  const Graph fifty = base(&resnet50_depths, 224);
  CHECK(fifty.parameter_count() == 23'519'360);
  CHECK(fifty.parameter_count() + fifty.statistics_count() == 23'564'800);
  CHECK(fifty.forward_flops() / 1e9 == Approx(6.96).epsilon(1e-3));
  CHECK(fifty.layers().back().out == Shape{2048, 7, 7});

  const Graph deep = base(&resnet152_depths, 224);
  CHECK(deep.parameter_count() + deep.statistics_count() == 58'331'648);
  CHECK(deep.forward_flops() / 1e9 == Approx(21.81).epsilon(1e-3));
}

TEST_CASE("ResNet152V2 on 32 pixels agrees with its layer table") {
  const Graph graph = base(&resnet152_depths, 32);
  compare(graph,
          {{"r.conv1_conv", Op::conv, {3, 32, 32}, {64, 16, 16}, 7, 2, 3, 3, 9472, 2408448},
           {"r.pool1_pad", Op::zero_pad, {64, 16, 16}, {64, 18, 18}, 1, 1, 1, 1, 0, 0},
           {"r.pool1_pool", Op::max_pool, {64, 18, 18}, {64, 8, 8}, 3, 2, 0, 0, 0, 0},
           {"r.conv2_block1_preact_bn", Op::batch_norm, {64, 8, 8}, {64, 8, 8}, 0, 0, 0, 0, 256, 0},
           {"r.conv2_block1_0_conv", Op::conv, {64, 8, 8}, {256, 8, 8}, 1, 1, 0, 0, 16640, 1048576},
           {"r.conv2_block1_1_conv", Op::conv, {64, 8, 8}, {64, 8, 8}, 1, 1, 0, 0, 4096, 262144},
           {"r.conv2_block1_2_conv", Op::conv, {64, 8, 8}, {64, 8, 8}, 3, 1, 1, 1, 36864, 2359296},
           {"r.conv2_block1_3_conv", Op::conv, {64, 8, 8}, {256, 8, 8}, 1, 1, 0, 0, 16640, 1048576},
           {"r.conv2_block2_1_conv", Op::conv, {256, 8, 8}, {64, 8, 8}, 1, 1, 0, 0, 16384, 1048576},
           {"r.conv2_block3_0_pool", Op::max_pool, {256, 8, 8}, {256, 4, 4}, 1, 2, 0, 0, 0, 0},
           {"r.conv2_block3_2_conv", Op::conv, {64, 8, 8}, {64, 4, 4}, 3, 2, 1, 1, 36864, 589824},
           {"r.conv3_block1_0_conv", Op::conv, {256, 4, 4}, {512, 4, 4}, 1, 1, 0, 0, 131584, 2097152},
           {"r.conv4_block2_2_conv", Op::conv, {256, 2, 2}, {256, 2, 2}, 3, 1, 1, 1, 589824, 2359296},
           {"r.conv4_block36_2_conv", Op::conv, {256, 2, 2}, {256, 1, 1}, 3, 2, 1, 1, 589824, 589824},
           {"r.conv5_block3_2_conv", Op::conv, {512, 1, 1}, {512, 1, 1}, 3, 1, 1, 1, 2359296, 2359296},
           {"r.post_bn", Op::batch_norm, {2048, 1, 1}, {2048, 1, 1}, 0, 0, 0, 0, 8192, 0}});
  CHECK(find(graph, "r.post_bn").epsilon == 1.001e-5);
  CHECK(find(graph, "r.post_bn").momentum == 0.01);
  // Convolution shortcuts begin at the pre-activated input, pooled and plain ones at the raw input.
  const auto input_of = [&](const char* name) {
    return graph.layer(find(graph, name).inputs.front()).name;
  };
  CHECK(input_of("r.conv3_block1_0_conv") == "r.conv3_block1_preact_relu");
  CHECK(input_of("r.conv2_block3_0_pool") == "r.conv2_block2_out");
  CHECK(input_of("r.conv2_block2_out") == "r.conv2_block1_out");
}

TEST_CASE("every model is found by name, ends with a loss, and takes other images and classes") {
  CHECK(models().size() == 4);
  CHECK(find_model("resnet") == nullptr);
  for (const Model& model : models()) {
    INFO(model.name);
    CHECK(find_model(model.name) == &model);
    const Graph own = model.build({});
    CHECK(own.name() == model.name);
    CHECK(own.shape(0) == model.input);
    CHECK(own.classes() == model.classes);
    CHECK(own.layers().back().op == Op::softmax_cross_entropy);
    CHECK(!own.needs_gradient(0));
    const Graph smallest = model.build({model.smallest_image, 7, -1});
    CHECK(smallest.classes() == 7);
    CHECK(smallest.shape(0).height == model.smallest_image);
    CHECK(model.build({model.smallest_image + 13, 0, -1}).shape(0).width == model.smallest_image + 13);
    CHECK_THROWS_AS(model.build({model.smallest_image - 1 == 0 ? -1 : model.smallest_image - 1, 0, -1}),
                    Error);
    CHECK_THROWS_AS(model.build({0, 1, -1}), Error);
    CHECK_THROWS_AS(model.build({std::int64_t{1} << 40, 0, -1}), Error);
  }
  CHECK(build("vgg19").parameter_count() == 20'024'384 + 513'000);
  CHECK(build("resnet50v2").parameter_count() == 23'519'360 + 2'049'000);
  CHECK(find(build("topflight-cnn", {0, 0, 0.25}), "dropout2").rate == 0.25);
  CHECK(find(build("topflight-cnn", {0, 0, 0}), "dropout1").rate == 0);
}
