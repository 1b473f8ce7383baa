// SPDX-License-Identifier: BSD-3-Clause
/// A workload that is another one: base of those that change a call or two of it, for tests.
#pragma once

#include <memory>
#include <utility>

#include "workloads/contract.hpp"

namespace dlscale {

class ForwardingWorkload : public Workload {
 public:
  explicit ForwardingWorkload(std::unique_ptr<Workload> workload) : workload_(std::move(workload)) {}
  void prepare() override { workload_->prepare(); }
  void reset() override { workload_->reset(); }
  void before_sample() override { workload_->before_sample(); }
  void run() override { workload_->run(); }
  void finish() override { workload_->finish(); }
  void begin_block(std::int32_t block) override { workload_->begin_block(block); }
  void end_block(std::int32_t block) override { workload_->end_block(block); }
  void take_parts(std::span<double> seconds) override { workload_->take_parts(seconds); }
  void take_layers(std::span<double> seconds) override { workload_->take_layers(seconds); }
  void take_buckets(std::span<double> seconds) override { workload_->take_buckets(seconds); }
  void take_epoch(std::span<double> values) override { workload_->take_epoch(values); }
  Check verify() override { return workload_->verify(); }
  std::span<std::byte> last_result() override { return workload_->last_result(); }
  std::string results() const override { return workload_->results(); }

 private:
  std::unique_ptr<Workload> workload_;
};

}  // namespace dlscale
