// SPDX-License-Identifier: BSD-3-Clause
/// An executor that does what another one does, for tests that change one thing.
#pragma once

#include <utility>

#include "nn/executor.hpp"

namespace dlscale::nn {

class ForwardingExecutor : public Executor {
 public:
  explicit ForwardingExecutor(Executor& real) : real_(real) {}

  void prepare(int batch, Mode mode) override { real_.prepare(batch, mode); }
  std::int64_t memory_bytes() const override { return real_.memory_bytes(); }
  std::string facts() const override { return real_.facts(); }
  void initialise() override { real_.initialise(); }
  void write_parameter(int p, std::span<const float> values) override {
    real_.write_parameter(p, values);
  }
  void read_parameter(int p, std::span<float> values) const override { real_.read_parameter(p, values); }
  void read_gradient(int p, std::span<float> values) const override { real_.read_gradient(p, values); }
  void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const override {
    real_.read_statistics(layer, mean, variance);
  }
  void write_statistics(int layer, std::span<const float> mean,
                        std::span<const float> variance) override {
    real_.write_statistics(layer, mean, variance);
  }
  std::vector<Bucket>& buckets() override { return real_.buckets(); }
  void load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
            Mode mode) override {
    real_.load(images, labels, batch, mode);
  }
  void forward() override { real_.forward(); }
  double loss() const override { return real_.loss(); }
  std::int64_t correct() const override { return real_.correct(); }
  std::span<const float> logits() override { return real_.logits(); }
  void backward(const std::function<void(int bucket)>& ready,
                const std::function<void()>& between = {}) override {
    real_.backward(ready, between);
  }
  void update(float scale) override { real_.update(scale); }
  bool finite() const override { return real_.finite(); }
  void time_layers(bool on) override { real_.time_layers(on); }
  const std::vector<LayerTime>& layer_times() const override { return real_.layer_times(); }
  void clear_layer_times() override { real_.clear_layer_times(); }
  void observe(std::function<void(const LayerView&)> observer) override {
    real_.observe(std::move(observer));
  }
  void corrupt(int layer, bool backward, float value) override { real_.corrupt(layer, backward, value); }
  std::string first_not_finite() const override { return real_.first_not_finite(); }

 private:
  Executor& real_;
};

}  // namespace dlscale::nn
