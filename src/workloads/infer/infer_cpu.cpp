// SPDX-License-Identifier: BSD-3-Clause
/// Forward passes of a network as it is deployed: batch norms folded into the convolutions.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "device/buffer.hpp"
#include "device/random.hpp"
#include "workloads/network_case.hpp"

namespace dlscale {
namespace {

constexpr std::uint64_t image_stream = 1, statistics_stream = 1000;

class InferCpu final : public Workload {
 public:
  explicit InferCpu(const WorkContext& context)
      : params_(context.params),
        seed_(context.seed),
        threads_(context.threads),
        batch_(network_batch(params_)),
        graph_(network_graph(params_)) {}

  void prepare() override {
    images_ = Buffer<float>(static_cast<std::size_t>(batch_) *
                            static_cast<std::size_t>(graph_.shape(0).count()));
    fill_uniform(images_.span(), seed_, image_stream);
    nn::ExecutorOptions options = network_options(params_, threads_, seed_);
    options.trains = false;
    const std::int64_t begin = now_ns();
    executor_ = nn::make_cpu_executor(graph_, options);
    executor_->prepare(batch_, nn::Mode::inference);
    executor_->initialise();
    draw_statistics();
    load();  // weights go into their working layouts here
    load_time_s_ = seconds_since(begin);
    executor_->time_layers(params_.boolean("layers"));
  }

  void run() override {
    const std::int64_t begin = now_ns();
    load();
    const std::int64_t copied = now_ns();
    executor_->forward();
    copy_ns_ += copied - begin;
    forward_ns_ += now_ns() - copied;
  }

  void take_parts(std::span<double> seconds) override {
    if (seconds.size() < 2) return;
    seconds[0] = 1e-9 * static_cast<double>(copy_ns_);
    seconds[1] = 1e-9 * static_cast<double>(forward_ns_);
    copy_ns_ = forward_ns_ = 0;
  }
  void take_layers(std::span<double> seconds) override { take_layer_times(*executor_, seconds); }

  Check verify() override {
    const std::vector<float> timed(executor_->logits().begin(), executor_->logits().end());
    load();
    Check check = check_layers(graph_, *executor_, batch_, nn::Mode::inference, {}, params_, seed_);
    // The pass that was looked at must be the one that was timed, bit for bit.
    const auto logits = executor_->logits();
    if (!std::equal(timed.begin(), timed.end(), logits.begin(), logits.end()))
      check = {.error = std::numeric_limits<double>::infinity(),
               .tolerance = 1,
               .method = "the timed pass and its repetition differ"};
    method_ = check.method;
    return check;
  }

  // Read-only for all but the tests that damage it.
  std::span<std::byte> last_result() override {
    const std::span<const float> logits = executor_->logits();
    return std::as_writable_bytes(std::span(const_cast<float*>(logits.data()), logits.size()));
  }

  std::string results() const override {
    nlohmann::json facts = nlohmann::json::parse(executor_->facts());
    facts["load_time_s"] = load_time_s_;
    facts["executor_bytes"] = executor_->memory_bytes();
    facts["parameters"] = graph_.parameter_count();
    facts["data"] = "random";
    facts["synthetic"] = true;
    facts["checked"] = method_;
    return facts.dump();
  }

 private:
  void load() { executor_->load(images_.span(), {}, batch_, nn::Mode::inference); }

  // Running statistics of a network that has seen data: fresh ones (0 and 1) would make folding trivial.
  void draw_statistics() {
    for (std::size_t id = 0; id < graph_.layers().size(); ++id) {
      const nn::Layer& layer = graph_.layers()[id];
      if (layer.op != nn::Op::batch_norm) continue;
      std::vector<float> mean(static_cast<std::size_t>(layer.out.channels)), variance(mean.size());
      const std::uint64_t key = stream_key(seed_, statistics_stream + id);
      for (std::size_t c = 0; c < mean.size(); ++c) {
        mean[c] = static_cast<float>(0.1 * uniform_at(key, 2 * c));
        variance[c] = static_cast<float>(1 + 0.5 * uniform_at(key, 2 * c + 1));
      }
      executor_->write_statistics(static_cast<int>(id), mean, variance);
    }
  }

  Params params_;
  std::uint64_t seed_;
  int threads_, batch_;
  nn::Graph graph_;
  Buffer<float> images_;
  std::unique_ptr<nn::Executor> executor_;
  std::int64_t copy_ns_ = 0, forward_ns_ = 0;
  double load_time_s_ = 0;
  std::string method_;
};

std::vector<Key> keys() {
  std::vector<Key> list = network_keys(1);
  list.push_back({"layers", false, "true: the time of every layer is kept as well", {}, {}, {}});
  return list;
}

std::vector<Params> examples() {
  std::vector<Params> list;
  const auto add = [&](const char* model, std::int64_t image, std::int64_t batch, const char* dtype) {
    Params p;
    for (const Key& key : keys()) p.set(key.name, key.default_value);
    p.set("model", std::string(model));
    p.set("image", image);
    p.set("batch", batch);
    p.set("dtype", std::string(dtype));
    p.set("layers", list.size() % 2 == 1);
    list.push_back(p);
  };
  add("topflight-cnn", 0, 1, "f32");
  add("topflight-cnn", 29, 3, "f32");
  add("topflight-cnn", 0, 4, "bf16");
  add("aalto-conv2d", 32, 1, "f32");
  add("vgg19", 32, 1, "f32");
  return list;
}

Cost cost(const Params& params, int, int threads) {
  Cost c = network_cost(params, nn::Mode::inference);
  nn::ExecutorOptions options = network_options(params, threads, 0);
  options.trains = false;
  const nn::Graph graph = network_graph(params);
  c.memory_bytes +=
      predicted_memory(graph, options, network_batch(params), nn::Mode::inference).total() +
      4.0 * network_batch(params) * static_cast<double>(graph.shape(0).count());
  return c;
}

std::vector<Piece> layers(const Params& params) {
  if (!params.boolean("layers")) return {};
  return network_layers(params, nn::Mode::inference);
}

}  // namespace

Entry infer_cpu_entry() {
  Entry entry;
  entry.name = "infer";
  entry.variant = "cpu";
  entry.description = "forward passes of a whole network on every rank by itself, through oneDNN";
  entry.rate = RateKind::images;
  entry.keys = keys();
  entry.parts = {"copy", "forward"};
  entry.examples = examples;
  entry.validate = network_problem;
  entry.unavailable = network_unavailable;
  entry.cost = cost;
  entry.roofs = network_roofs;
  entry.layers = layers;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<InferCpu>(context);
  };
  return entry;
}

}  // namespace dlscale
