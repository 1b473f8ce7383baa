// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/network_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "nn/models.hpp"
#include "nn/reference/check_inference.hpp"

namespace dlscale {
namespace {

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const nn::Model& model : nn::models()) names.emplace_back(model.name);
  return names;
}

const nn::Model& model_of(const Params& params) {
  const nn::Model* model = nn::find_model(params.text("model"));
  if (model == nullptr)
    throw Error(ExitCode::bad_input, "unknown model '" + params.text("model") + "'", "", "see --list");
  return *model;
}

// Generated code, the library's own tables, stacks of threads: 4 MB (28-pixel networks in f32) to 18 MB
// (resnet50v2) were seen beside what the executor and the data hold.
constexpr double library_bytes = 8e6;

}  // namespace

std::vector<Key> network_keys(std::int64_t default_batch) {
  return {
      {"model",
       std::string("topflight-cnn"),
       "the network, described in docs/networks.md",
       {},
       {},
       model_names()},
      {"image",
       std::int64_t{0},
       "height and width of its input in pixels; 0 = the model's own: 28 for topflight-cnn, 32 for "
       "aalto-conv2d, 224 for vgg19 and resnet50v2",
       0.0,
       4096.0,
       {}},
      {"classes",
       std::int64_t{0},
       "outputs of its last layer; 0 = the model's own: 10, for vgg19 and resnet50v2 1000",
       0.0,
       100000.0,
       {}},
      {"batch",
       default_batch,
       "images per rank and repetition (a step of train, a pass of infer)",
       1.0,
       65536.0,
       {}},
      {"dtype",
       std::string("f32"),
       "of activations and weights; bf16 needs AVX512_BF16 or AMX and keeps master weights, their "
       "gradients, statistics and the loss in f32",
       {},
       {},
       {"f32", "bf16"}},
      {"algorithm",
       std::string("auto"),
       "of convolutions; winograd = Winograd's wherever the library has it, direct elsewhere; auto = "
       "Winograd's where the shape makes it less work",
       {},
       {},
       {"auto", "direct", "winograd"}},
  };
}

nn::Graph network_graph(const Params& params, double dropout) {
  return model_of(params).build(
      {.image = params.integer("image"), .classes = params.integer("classes"), .dropout = dropout});
}

nn::ExecutorOptions network_options(const Params& params, int threads, std::uint64_t seed) {
  nn::ExecutorOptions options;
  options.precision = params.text("dtype") == "bf16" ? nn::Precision::bf16 : nn::Precision::f32;
  options.threads = threads;
  options.seed = seed;
  options.algorithm = params.text("algorithm");
  return options;
}

int network_batch(const Params& params) {
  return static_cast<int>(params.integer("batch"));
}

std::string network_problem(const Params& params) {
  const nn::Model& model = model_of(params);
  const std::int64_t image = params.integer("image"), classes = params.integer("classes");
  if (image != 0 && image < model.smallest_image)
    return sentence(fmt::format("image = {} is too small for {}", image, model.name),
                    fmt::format("its pools and strides need {} pixels", model.smallest_image),
                    "choose a larger image");
  if (classes == 1)
    return sentence("classes = 1 makes no sense", "a network that can't be wrong learns nothing",
                    "choose 2 or more");
  try {
    network_graph(params);
  } catch (const Error& e) {
    return e.what();
  }
  if (params.text("algorithm") == "winograd" && params.text("dtype") == "bf16")
    return sentence("algorithm = winograd can't be used with dtype = bf16", "the transforms need f32",
                    "use algorithm = auto");
  return {};
}

std::string network_unavailable(const Params& params) {
  return nn::precision_problem(params.text("dtype") == "bf16" ? nn::Precision::bf16
                                                              : nn::Precision::f32);
}

Cost network_cost(const Params& params, nn::Mode mode) {
  const nn::Graph graph = network_graph(params);
  const double batch = network_batch(params);
  Cost cost;
  cost.flops = batch * (mode == nn::Mode::training ? graph.training_flops() : graph.forward_flops());
  for (const nn::StepPiece& piece :
       nn::step_pieces(graph, network_options(params, 1, 0).precision, network_batch(params), mode))
    cost.bytes_touched += piece.bytes;
  cost.memory_bytes = library_bytes;
  // The check copies what a layer reads and writes to canonical f32 (training: of both passes), and
  // holds float64 sums of a layer's weights.
  double values = 0, largest = 0;
  for (const nn::Layer& layer : graph.layers()) values += static_cast<double>(layer.out.count());
  for (const nn::Parameter& p : graph.parameters())
    largest = std::max(largest, static_cast<double>(p.count()));
  const double copies = mode == nn::Mode::training ? 4 : 1.5;
  cost.check_bytes = 4 * batch * copies * values + 8 * largest;
  cost.items = batch;
  return cost;
}

std::vector<Piece> network_layers(const Params& params, nn::Mode mode) {
  const nn::Graph graph = network_graph(params);
  std::vector<Piece> pieces;
  for (const nn::StepPiece& piece :
       nn::step_pieces(graph, network_options(params, 1, 0).precision, network_batch(params), mode))
    pieces.push_back({piece.name, piece.flops, piece.bytes});
  return pieces;
}

std::vector<Roof> network_roofs(const Params& params) {
  Roof fma{"fma", {}};
  fma.params.set("dtype", params.text("dtype"));
  return {fma, Roof{"triad", {}}};
}

void take_layer_times(nn::Executor& executor, std::span<double> seconds) {
  const std::vector<nn::LayerTime>& times = executor.layer_times();
  for (std::size_t i = 0; i < times.size() && i < seconds.size(); ++i) seconds[i] = times[i].seconds;
  executor.clear_layer_times();
}

Check check_layers(const nn::Graph& graph, nn::Executor& executor, int batch, nn::Mode mode,
                   std::span<const std::int32_t> labels, const Params& params, std::uint64_t seed,
                   const NetworkDevice& device) {
  nn::LayerTolerance tolerance;
  tolerance.u_acc = device.u_acc;
  if (params.text("dtype") == "bf16") tolerance.u_out = 0x1p-8;
  nn::LayerVerdict worst;
  int shown_forward = 0, shown_backward = 0;
  executor.observe([&](const nn::LayerView& view) {
    ++(view.backward ? shown_backward : shown_forward);
    const nn::Layer& layer = graph.layer(view.layer);
    if (layer.op == nn::Op::softmax_cross_entropy && labels.empty()) return;
    nn::LayerTolerance of_layer = tolerance;
    if (graph.layer(view.fused.empty() ? view.layer : view.fused.front()).op == nn::Op::conv)
      of_layer.u_gradient = device.u_conv_gradient;
    const nn::LayerVerdict own =
        mode == nn::Mode::training
            ? nn::check_layer(layer, graph, batch, view, labels, of_layer, seed)
            : nn::check_inference_layer(layer, graph, batch, view, tolerance, seed);
    nn::keep_worse(worst, own);
  });
  try {
    executor.forward();
    if (mode == nn::Mode::training) executor.backward({});
  } catch (...) {
    executor.observe({});
    throw;
  }
  executor.observe({});
  Check check{.error = worst.ratio,
              .tolerance = 1,
              .method = "every layer against float64, error / tolerance; worst: " + worst.what,
              .message = {}};
  for (const auto& [shown, backward] : {std::pair(shown_forward, false), {shown_backward, true}})
    if (const int all = nn::computing_groups(graph, mode, backward); shown < all) {
      check.error = std::numeric_limits<double>::infinity();
      check.message = sentence(fmt::format("the check has seen {} of {} pieces of the {} pass", shown,
                                           all, backward ? "backward" : "forward"),
                               "what is not seen is not judged", "report this as a fault of dlscale");
      return check;
    }
  if (!check.passed())
    check.message = sentence(fmt::format("{} is wrong by {:.3g} tolerances", worst.what, worst.ratio),
                             "every layer of one more step was compared with float64",
                             fmt::format("distrust this rank's hardware or its {}", device.library));
  return check;
}

}  // namespace dlscale
