// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/infer/infer.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "device/random.hpp"

namespace dlscale {
namespace {

constexpr std::uint64_t image_stream = 1, statistics_stream = 1000;

}  // namespace

InferRun::InferRun(const WorkContext& context, MakeExecutor make, const NetworkDevice& device)
    : params_(context.params),
      make_(std::move(make)),
      device_(device),
      seed_(context.seed),
      threads_(context.threads),
      batch_(network_batch(params_)),
      graph_(network_graph(params_)) {}

void InferRun::prepare() {
  images_ = Buffer<float>(static_cast<std::size_t>(batch_) *
                          static_cast<std::size_t>(graph_.shape(0).count()));
  fill_uniform(images_.span(), seed_, image_stream);
  nn::ExecutorOptions options = network_options(params_, threads_, seed_);
  options.trains = false;
  const std::int64_t begin = now_ns();
  executor_ = make_(graph_, options);
  executor_->prepare(batch_, nn::Mode::inference);
  executor_->initialise();
  draw_statistics();
  load();  // weights go into their working layouts here
  load_time_s_ = seconds_since(begin);
  executor_->time_layers(params_.boolean("layers"));
}

void InferRun::run() {
  const std::int64_t begin = now_ns();
  load();
  const std::int64_t copied = now_ns();
  executor_->forward();
  copy_ns_ += copied - begin;
  forward_ns_ += now_ns() - copied;
}

void InferRun::finish() {
  const std::int64_t begin = now_ns();
  executor_->wait();
  forward_ns_ += now_ns() - begin;
}

void InferRun::take_parts(std::span<double> seconds) {
  if (seconds.size() < 2) return;
  seconds[0] = 1e-9 * static_cast<double>(copy_ns_);
  seconds[1] = 1e-9 * static_cast<double>(forward_ns_);
  copy_ns_ = forward_ns_ = 0;
}

Check InferRun::verify() {
  const std::span<const float> last = executor_->logits();
  const std::vector<float> timed(last.begin(), last.end());
  load();
  Check check =
      check_layers(graph_, *executor_, batch_, nn::Mode::inference, {}, params_, seed_, device_);
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
std::span<std::byte> InferRun::last_result() {
  const std::span<const float> logits = executor_->logits();
  return std::as_writable_bytes(std::span(const_cast<float*>(logits.data()), logits.size()));
}

std::string InferRun::results() const {
  nlohmann::json facts = nlohmann::json::parse(executor_->facts());
  facts["load_time_s"] = load_time_s_;
  facts["executor_bytes"] = executor_->memory_bytes();
  facts["parameters"] = graph_.parameter_count();
  facts["data"] = "random";
  facts["synthetic"] = true;
  facts["checked"] = method_;
  return facts.dump();
}

// Running statistics of a network that has seen data: fresh ones (0 and 1) would make folding trivial.
void InferRun::draw_statistics() {
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

std::vector<Key> infer_keys() {
  std::vector<Key> list = network_keys(1);
  list.push_back({"layers", false, "true: the time of every layer is kept as well", {}, {}, {}});
  return list;
}

std::vector<Params> infer_examples() {
  std::vector<Params> list;
  const auto add = [&](const char* model, std::int64_t image, std::int64_t batch, const char* dtype) {
    Params p;
    for (const Key& key : infer_keys()) p.set(key.name, key.default_value);
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

std::vector<Piece> infer_layers(const Params& params) {
  if (!params.boolean("layers")) return {};
  return network_layers(params, nn::Mode::inference);
}

}  // namespace dlscale
