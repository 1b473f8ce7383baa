// SPDX-License-Identifier: BSD-3-Clause
/// Training as it runs, on whatever device the executor is.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/trainer.hpp"
#include "workloads/train/data_parallel_mpi.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {

using MakeExecutor = std::function<std::unique_ptr<nn::Executor>(const nn::Graph& graph,
                                                                 const nn::ExecutorOptions& options)>;

class TrainRun final : public Workload {
 public:
  /// `reducer` empty: gradients are summed by MPI.
  TrainRun(const WorkContext& context, MakeExecutor make, const NetworkDevice& device = {},
           MakeReducer reducer = {});

  void prepare() override;
  void begin_block(std::int32_t block) override;
  void before_sample() override;
  void run() override;
  void finish() override;
  void end_block(std::int32_t block) override;
  void take_parts(std::span<double> seconds) override { trainer_->take_parts(seconds); }
  void take_layers(std::span<double> seconds) override { take_layer_times(*executor_, seconds); }
  void take_epoch(std::span<double> values) override;
  void take_buckets(std::span<double> seconds) override;
  Check verify() override;
  std::string results() const override;

 private:
  void prepare_alone();
  std::unique_ptr<nn::Loader> make_loader(bool test, const TrainData& data) const;
  void step();
  void apart(const std::function<void()>& action);
  void tell_failure();
  Check check_target() const;
  Check check_one_step();

  WorkContext context_;
  MakeExecutor make_;
  MakeReducer make_reducer_;
  NetworkDevice device_;
  bool whole_, communicates_;  ///< one network on all ranks; its gradients are reduced
  Params params_;              ///< with this rank's batch
  nn::Graph graph_;
  std::shared_ptr<const nn::Dataset> dataset_;
  std::unique_ptr<nn::Loader> loader_, test_loader_;
  std::unique_ptr<nn::Executor> executor_;
  std::optional<DataParallel> parallel_;
  std::optional<nn::Trainer> trainer_;
  std::exception_ptr failure_;  ///< of a step of this rank alone
  std::vector<double> epoch_;
  std::int64_t begin_ns_ = 0, restarts_ = 0, epochs_ = 0, sample_begin_ns_ = 0;
  double cpu_begin_s_ = 0, accuracy_, load_time_s_ = 0;
  std::string method_;
};

}  // namespace dlscale
