// SPDX-License-Identifier: BSD-3-Clause
/// Forward passes of a network as it is deployed, on whatever device the executor is: batch norms folded
/// into the convolutions.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device/buffer.hpp"
#include "workloads/network_case.hpp"

namespace dlscale {

class InferRun final : public Workload {
 public:
  using MakeExecutor = std::function<std::unique_ptr<nn::Executor>(const nn::Graph& graph,
                                                                   const nn::ExecutorOptions& options)>;
  InferRun(const WorkContext& context, MakeExecutor make, const NetworkDevice& device = {});

  void prepare() override;
  void run() override;
  void finish() override;
  void take_parts(std::span<double> seconds) override;
  void take_layers(std::span<double> seconds) override { take_layer_times(*executor_, seconds); }
  Check verify() override;
  std::span<std::byte> last_result() override;
  std::string results() const override;

 private:
  void load() { executor_->load(images_.span(), {}, batch_, nn::Mode::inference); }
  void draw_statistics();

  Params params_;
  MakeExecutor make_;
  NetworkDevice device_;
  std::uint64_t seed_;
  int threads_, batch_;
  nn::Graph graph_;
  Buffer<float> images_;
  std::unique_ptr<nn::Executor> executor_;
  std::int64_t copy_ns_ = 0, forward_ns_ = 0;
  double load_time_s_ = 0;
  std::string method_;
};

/// The pure half, shared by all variants.
std::vector<Key> infer_keys();
std::vector<Params> infer_examples();
std::vector<Piece> infer_layers(const Params& params);

}  // namespace dlscale
