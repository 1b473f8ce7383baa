// SPDX-License-Identifier: BSD-3-Clause
/// An executor that computes nothing, and what trainers need around it.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "nn/models.hpp"
#include "nn/trainer.hpp"

namespace dlscale::nn {

/// Computes nothing: its loss is the number of images loaded, unless told otherwise, and every call
/// sleeps for a time of its own.
class Scripted final : public Executor {
 public:
  std::vector<std::pair<int, Mode>> prepared;
  std::vector<std::pair<std::vector<std::int32_t>, Mode>> loaded;  // labels
  std::vector<std::string> calls;
  std::map<std::string, int> sleep_ms;
  std::map<int, double> loss_of;  ///< by number of the forward pass, from 1
  std::vector<float> largest_of;  ///< first value of every parameter
  std::string broken_tensor;      ///< what first_not_finite() says
  int broken_update = -1, forwards = 0, updates = 0;
  float expected_scale = 1;

  void prepare(int batch, Mode mode) override { prepared.emplace_back(batch, mode); }
  void load(std::span<const float>, std::span<const std::int32_t> labels, int batch,
            Mode mode) override {
    call("load");
    CHECK(static_cast<std::size_t>(batch) == labels.size());
    loaded.push_back({{labels.begin(), labels.end()}, mode});
  }
  void forward() override {
    call("forward");
    ++forwards;
  }
  double loss() const override {
    const auto found = loss_of.find(forwards);
    return found == loss_of.end() ? static_cast<double>(loaded.back().first.size()) : found->second;
  }
  std::int64_t correct() const override {  // says class 3 of every image
    const std::vector<std::int32_t>& labels = loaded.back().first;
    return std::count(labels.begin(), labels.end(), 3);
  }
  void backward(const std::function<void(int)>& ready, const std::function<void()>& between) override {
    call("backward");
    for (int b = 0; b < std::ssize(buckets_); ++b) {
      if (between) between();
      if (ready) ready(b);
    }
  }
  void update(float scale) override {
    call("update");
    CHECK(scale == expected_scale);
    ++updates;
  }
  bool finite() const override {
    return updates != broken_update && (buckets_.empty() || std::isfinite(gradients_[0]));
  }
  /// Two buckets of 16 gradients each.
  void with_buckets() {
    for (float* at : {&gradients_[0], &gradients_[16]})
      buckets_.push_back(
          {.count = 16, .parameters = nullptr, .gradients = at, .members = {}, .counts = {}});
  }
  std::string first_not_finite() const override { return broken_tensor; }
  void read_parameter(int parameter, std::span<float> values) const override {
    std::fill(values.begin(), values.end(), 0.0F);
    const auto p = static_cast<std::size_t>(parameter);
    if (p < largest_of.size()) values.back() = largest_of[p];
  }

  void wait() override { call("wait"); }
  std::int64_t memory_bytes() const override { return 0; }
  std::string facts() const override { return "{}"; }
  void initialise() override {}
  void write_parameter(int, std::span<const float>) override {}
  void read_gradient(int, std::span<float>) const override {}
  void read_statistics(int, std::span<float>, std::span<float>) const override {}
  void write_statistics(int, std::span<const float>, std::span<const float>) override {}
  std::vector<Bucket>& buckets() override { return buckets_; }
  std::span<const float> logits() override { return {}; }
  void time_layers(bool) override {}
  const std::vector<LayerTime>& layer_times() const override { return times_; }
  void clear_layer_times() override {}
  void observe(std::function<void(const LayerView&)>) override {}
  void corrupt(int, bool, float) override {}

 private:
  void call(const std::string& name) {
    calls.push_back(name);
    if (const auto found = sleep_ms.find(name); found != sleep_ms.end())
      std::this_thread::sleep_for(std::chrono::milliseconds(found->second));
  }
  std::vector<Bucket> buckets_;
  std::array<float, 32> gradients_{};
  std::vector<LayerTime> times_;
};

/// Says in the executor's calls what is asked of it.
class ScriptedReducer final : public GradientReducer {
 public:
  ScriptedReducer(Scripted& executor, int replicas) : executor_(executor), replicas_(replicas) {}
  int replicas() const override { return replicas_; }
  void start(int bucket) override { executor_.calls.push_back("start " + std::to_string(bucket)); }
  void progress() override { executor_.calls.push_back("progress"); }
  void finish() override {
    executor_.calls.push_back("finish");
    std::this_thread::sleep_for(std::chrono::milliseconds(finish_ms));
  }
  std::span<const BucketTimes> times() const override { return {}; }
  /// Long enough for a thread that loses its processor in the update not to look like it.
  static constexpr int finish_ms = 100;

 private:
  Scripted& executor_;
  int replicas_;
};

/// One of several that train together in batches of 4, at the beginning of an epoch.
struct Replica {
  Replica(const Graph& graph, Loader& loader, int replicas = 2)
      : reducer(executor, replicas), trainer(graph, with_buckets(replicas), loader, 4) {
    trainer.reduce_with(&reducer);
    trainer.start_epoch(0);
  }
  Scripted executor;
  ScriptedReducer reducer;
  Trainer trainer;

 private:
  Scripted& with_buckets(int replicas) {
    executor.with_buckets();
    executor.expected_scale = 1.0F / static_cast<float>(replicas);
    return executor;
  }
};

inline std::shared_ptr<const Dataset> images(std::int64_t train, std::int64_t test) {
  return make_synthetic(5, train, test);
}

inline LoaderOptions batches_of(int batch, int workers = 0) {
  LoaderOptions o;
  o.batch = batch;
  o.workers = workers;
  o.seed = 11;
  o.input = {1, 28, 28};
  return o;
}

inline Graph network() {
  return find_model("topflight-cnn")->build({});
}

/// What `action` threw; empty if nothing.
template <class Action>
inline std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.exit_code() == ExitCode::case_failed);
    return error.what();
  }
  return {};
}

}  // namespace dlscale::nn
