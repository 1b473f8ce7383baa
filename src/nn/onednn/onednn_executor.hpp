// SPDX-License-Identifier: BSD-3-Clause
/// The CPU executor on oneDNN.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "nn/onednn/program.hpp"

namespace dlscale::nn::onednn {

class OnednnExecutor final : public Executor {
 public:
  OnednnExecutor(const Graph& graph, const ExecutorOptions& options);

  void prepare(int batch, Mode mode) override;
  std::int64_t memory_bytes() const override;
  std::string facts() const override;
  void initialise() override;
  void write_parameter(int parameter, std::span<const float> values) override;
  void read_parameter(int parameter, std::span<float> values) const override;
  void read_gradient(int parameter, std::span<float> values) const override;
  void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const override;
  void write_statistics(int layer, std::span<const float> mean,
                        std::span<const float> variance) override;
  std::vector<Bucket>& buckets() override;
  void load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
            Mode mode) override;
  void forward() override;
  double loss() const override;
  std::int64_t correct() const override;
  std::span<const float> logits() override;
  void backward(const std::function<void(int bucket)>& ready,
                const std::function<void()>& between = {}) override;
  void update(float scale) override;
  bool finite() const override { return store_.finite(); }
  void time_layers(bool on) override { timed_ = on; }
  const std::vector<LayerTime>& layer_times() const override;
  void clear_layer_times() override;
  void observe(std::function<void(const LayerView&)> observer) override;
  void corrupt(int layer, bool backward, float value) override;
  std::string first_not_finite() const override;

 private:
  struct Corruption {
    int layer = -1;
    bool backward = false;
    float value = 0;
  };
  const Program& current() const;
  Program& current();
  void rebind();
  void find_ready_buckets(Program& program) const;
  void refresh(Program& program);
  void run(const Stretch& stretch, bool backward);
  bool computes(const Stretch& stretch, bool backward) const;

  // Checks (views.cpp).
  std::vector<float> canonical(int slot, const Desc& as) const;
  std::vector<float> layer_values(int slot, int layer) const;
  std::vector<float> kept_values(int slot, int layer) const;
  void keep_for_backward(const Stretch& stretch);
  LayerView view_before(const Stretch& stretch, bool backward) const;
  void view_after(const Stretch& stretch, bool backward, LayerView& view) const;
  void apply_corruption(const Stretch& stretch, bool backward);

  Graph graph_;
  ExecutorOptions options_;
  ParameterStore store_;
  std::map<std::pair<int, Mode>, std::unique_ptr<Program>> programs_;
  Program* current_ = nullptr;
  Buffer<std::byte> arena_, scratch_;
  bool timed_ = false;
  std::uint64_t training_steps_ = 0;
  std::function<void(const LayerView&)> observer_;
  std::map<int, std::vector<float>> kept_;  ///< [slot] while observed: what dies before it is looked at
  Corruption corruption_;
};

}  // namespace dlscale::nn::onednn
