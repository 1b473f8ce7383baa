// SPDX-License-Identifier: BSD-3-Clause
// The pure half of train.
#include "workloads/train/train.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "nn/models.hpp"

namespace dlscale {
namespace {

constexpr std::int64_t set_pixels = 28;       // of the published and the synthetic sets
constexpr std::int64_t most_set_pixels = 64;  // inputs beyond are mostly border: random images instead
constexpr double set_bytes_per_image = 28 * 28 + 1;

Params example(const char* model, std::int64_t image, std::int64_t batch, const char* dtype,
               const char* optimizer, const char* data) {
  Params p;
  for (const Key& key : train_keys()) p.set(key.name, key.default_value);
  p.set("model", std::string(model));
  p.set("image", image);
  p.set("batch", batch);
  p.set("dtype", std::string(dtype));
  p.set("optimizer", std::string(optimizer));
  p.set("data", std::string(data));
  p.set("train_images", 4 * batch + 3);
  p.set("test_images", 2 * batch + 1);
  return p;
}

}  // namespace

std::vector<Key> train_keys() {
  std::vector<Key> keys = network_keys(64);
  const std::vector<Key> more = {
      {"optimizer", std::string("adam"), "rule that updates the weights", {}, {}, {"adam", "sgd"}},
      {"lr", 1e-3, "learning rate", 0.0, 1e6, {}},
      {"momentum", 0.0, "momentum of sgd; adam does not read it", 0.0, 1.0, {}},
      {"dropout", -1.0, "rate of every dropout layer; negative = the model's own", -1.0, 0.95, {}},
      {"data",
       std::string("auto"),
       "synthetic = a drawn 28×28 set; random = random images in memory; else a folder of IDX files "
       "(jobs/fetch-data.sh fetches MNIST); auto = synthetic for inputs of 28 to 64 pixels and 10 "
       "classes, else random",
       {},
       {},
       {}},
      {"train_images",
       std::int64_t{60000},
       "images of an epoch, from the start of the training set",
       1.0,
       1e9,
       {}},
      {"test_images",
       std::int64_t{10000},
       "with whole_epochs: images of a validation, from the start of the test set",
       1.0,
       1e9,
       {}},
      {"test_batch",
       std::int64_t{0},
       "with whole_epochs: images per pass of a validation; 0 = batch",
       0.0,
       65536.0,
       {}},
      {"workers",
       std::int64_t{0},
       "threads beside `threads` that build batches ahead; 0 = built within the step",
       0.0,
       256.0,
       {}},
      {"whole_epochs",
       false,
       "true: every block is a whole epoch, followed by an untimed validation; the first one starts "
       "from fresh weights, the others go on",
       {},
       {},
       {}},
      {"target_accuracy",
       0.0,
       "with whole_epochs: test accuracy that the last epoch must reach, else the check fails",
       0.0,
       1.0,
       {}},
      {"layers", false, "true: the time of every layer and pass is kept as well", {}, {}, {}},
  };
  keys.insert(keys.end(), more.begin(), more.end());
  const std::vector<Key> parallel = parallel_keys();
  keys.insert(keys.end(), parallel.begin(), parallel.end());
  return keys;
}

TrainData train_data(const Params& params) {
  TrainData data{params.text("data"), params.integer("train_images"), params.integer("test_images")};
  if (data.source != "auto") return data;
  const nn::Graph graph = network_graph(params);
  const std::int64_t height = graph.shape(0).height;
  data.source = height >= set_pixels && height <= most_set_pixels && graph.classes() == 10 ? "synthetic"
                                                                                           : "random";
  return data;
}

std::vector<Params> train_examples() {
  std::vector<Params> list = {
      example("topflight-cnn", 0, 5, "f32", "adam", "synthetic"),
      example("topflight-cnn", 0, 16, "f32", "sgd", "random"),
      example("topflight-cnn", 0, 7, "bf16", "adam", "synthetic"),
      example("aalto-conv2d", 0, 3, "f32", "adam", "synthetic"),
      example("resnet50v2", 33, 2, "f32", "sgd", "random"),
  };
  list[1].set("workers", std::int64_t{2});
  list[1].set("momentum", 0.9);
  list[1].set("layers", true);
  list[0].set("whole_epochs", true);
  list[2].set("dropout", 0.0);
  list[4].set("classes", std::int64_t{11});
  // Of one network on all ranks: enough images for any number of them that a test starts.
  Params weak = example("topflight-cnn", 0, 3, "f32", "adam", "random");
  weak.set("parallel", std::string("data"));
  weak.set("train_images", std::int64_t{4096});
  weak.set("overlap", std::string("test"));
  weak.set("bucket_bytes", std::int64_t{300'000});
  weak.set("check_replicas", std::int64_t{1});
  weak.set("layers", true);
  list.push_back(weak);
  Params strong = example("topflight-cnn", 0, 12, "f32", "sgd", "synthetic");
  strong.set("parallel", std::string("data"));
  strong.set("scaling", std::string("strong"));
  strong.set("global_batch", std::int64_t{12});
  strong.set("whole_epochs", true);
  list.push_back(strong);
  weak.set("communicate", false);
  list.push_back(weak);
  return list;
}

std::string train_validate(const Params& params) {
  if (std::string problem = network_problem(params); !problem.empty()) return problem;
  if (std::string problem = parallel_problem(params); !problem.empty()) return problem;
  const TrainData data = train_data(params);
  const nn::Graph graph = network_graph(params);
  const nn::Shape& input = graph.shape(0);
  if (!train_is_parallel(params) && params.integer("batch") > data.train_images)
    return sentence(fmt::format("batch = {} is more than train_images = {}", params.integer("batch"),
                                data.train_images),
                    "an epoch would have no full step", "choose a smaller batch");
  if (data.source != "random" && (input.height < set_pixels || input.width < set_pixels))
    return sentence(
        fmt::format("image = {} is smaller than the data's {} pixels", input.height, set_pixels),
        "they would be cut", "choose a larger image or data = random");
  if (data.source != "random" && graph.classes() < 10)
    return sentence(fmt::format("classes = {} is less than the data's 10", graph.classes()), "",
                    "leave classes out");
  if (data.source == "synthetic" && (data.train_images > 10'000'000 || data.test_images > 10'000'000))
    return sentence("train_images or test_images is too large", "a synthetic set is kept in memory",
                    "ask for at most 10 million images");
  if (params.number("target_accuracy") > 0 && !params.boolean("whole_epochs"))
    return sentence("target_accuracy needs whole_epochs = true", "accuracy is known after an epoch only",
                    "set whole_epochs, or leave target_accuracy out");
  return {};
}

nn::ExecutorOptions train_options(const Params& params, int threads, std::uint64_t seed) {
  nn::ExecutorOptions options = network_options(params, threads, seed);
  options.optimizer.kind =
      params.text("optimizer") == "sgd" ? nn::OptimizerKind::sgd : nn::OptimizerKind::adam;
  options.optimizer.lr = params.number("lr");
  options.optimizer.momentum = params.number("momentum");
  options.bucket_bytes = params.integer("bucket_bytes");
  return options;
}

int train_test_batch(const Params& params) {
  const std::int64_t asked = params.integer("test_batch");
  return static_cast<int>(
      std::min(asked == 0 ? params.integer("batch") : asked, params.integer("test_images")));
}

nn::LoaderOptions train_loader_options(const Params& params, const nn::Shape& input, std::uint64_t seed,
                                       bool test) {
  nn::LoaderOptions options;
  options.batch = test ? train_test_batch(params) : network_batch(params);
  options.workers = static_cast<int>(params.integer("workers"));
  options.shuffle = !test;
  options.drop_last = !test && !params.boolean("whole_epochs");
  options.seed = seed;
  options.input = input;
  return options;
}

namespace {

Cost cost_of_one(const Params& params, int threads) {
  Cost cost = network_cost(params, nn::Mode::training);
  const nn::Graph graph = network_graph(params);
  const nn::ExecutorOptions options = train_options(params, threads, 0);
  const nn::MemoryEstimate step =
      predicted_memory(graph, options, network_batch(params), nn::Mode::training);
  const TrainData data = train_data(params);
  const bool random = data.source == "random";
  cost.memory_bytes +=
      step.total() +
      predicted_loader_memory(train_loader_options(params, graph.shape(0), 0, false), random);
  if (!random)
    cost.memory_bytes += set_bytes_per_image * static_cast<double>(data.train_images + data.test_images);
  if (!params.boolean("whole_epochs")) return cost;
  const nn::MemoryEstimate test =
      predicted_memory(graph, options, train_test_batch(params), nn::Mode::inference);
  cost.memory_bytes +=
      test.copies + std::max(0.0, test.arena - step.arena) + std::max(0.0, test.scratch - step.scratch);
  cost.memory_bytes +=
      predicted_loader_memory(train_loader_options(params, graph.shape(0), 0, true), random);
  return cost;
}

}  // namespace

Cost train_cost(const Params& params, int ranks, int threads) {
  const Cost one = cost_of_one(train_of_one_rank(params, ranks), threads);
  return train_is_parallel(params) ? over_all_ranks(one, params, ranks) : one;
}

std::vector<Piece> train_layers(const Params& params) {
  if (!params.boolean("layers")) return {};
  return network_layers(params, nn::Mode::training);
}

std::int64_t train_block_samples(const Params& params, int ranks) {
  if (!params.boolean("whole_epochs")) return 0;
  const std::int64_t shards = train_is_parallel(params) ? ranks : 1;
  const std::int64_t images = (train_data(params).train_images + shards - 1) / shards;
  const std::int64_t batch = train_of_one_rank(params, ranks).integer("batch");
  return (images + batch - 1) / batch;
}

std::vector<Column> train_epochs() {
  return {
      {"train", "s", "wall time of the epoch's training part, from the first batch to the last update"},
      {"validate", "s", "wall time of the validation after it"},
      {"cpu", "s", "CPU time of the process over both, all its threads"},
      {"stall", "s",
       "time in which the loader had no batch ready; without workers the time to build them"},
      {"images", "1", "training images"},
      {"loss", "1", "mean training loss over the epoch"},
      {"test_loss", "1", "mean loss over the test images"},
      {"test_accuracy", "1", "fraction of test images whose largest output is their label's"},
  };
}

}  // namespace dlscale
