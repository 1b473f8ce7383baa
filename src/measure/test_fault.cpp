// SPDX-License-Identifier: BSD-3-Clause
#include "measure/test_fault.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/text.hpp"

namespace dlscale {
namespace {

// {stage, rank, kind, case}; empty without the variable.
const std::vector<std::string>& wanted() {
  static const std::vector<std::string> words = [] {
    const char* text = std::getenv("DLSCALE_TEST_FAULT");
    return text == nullptr ? std::vector<std::string>() : split(text, ':');
  }();
  return words;
}

bool names(std::string_view stage, int rank, int case_id) {
  const auto& words = wanted();
  return words.size() == 4 && words[0] == stage && words[1] == std::to_string(rank) &&
         words[3] == std::to_string(case_id);
}

class FaultyWorkload final : public Workload {
 public:
  FaultyWorkload(std::unique_ptr<Workload> workload, int rank, int case_id)
      : workload_(std::move(workload)), rank_(rank), case_id_(case_id) {}
  void prepare() override { workload_->prepare(); }
  void reset() override { workload_->reset(); }
  void before_sample() override { workload_->before_sample(); }
  void run() override {
    test_fault("run", rank_, case_id_);
    if (block_ >= 0 && runs_in_block_++ > 0) test_fault("block", rank_, case_id_);
    workload_->run();
  }
  void begin_block(std::int32_t block) override {
    block_ = block;
    runs_in_block_ = 0;
    workload_->begin_block(block);
  }
  void end_block(std::int32_t block) override { workload_->end_block(block); }
  void take_parts(std::span<double> seconds) override { workload_->take_parts(seconds); }
  void take_layers(std::span<double> seconds) override { workload_->take_layers(seconds); }
  void take_buckets(std::span<double> seconds) override { workload_->take_buckets(seconds); }
  void take_epoch(std::span<double> values) override { workload_->take_epoch(values); }
  Check verify() override { return workload_->verify(); }
  std::string results() const override { return workload_->results(); }

 private:
  std::unique_ptr<Workload> workload_;
  int rank_, case_id_;
  std::int32_t block_ = -1;
  std::int64_t runs_in_block_ = 0;
};

}  // namespace

bool test_fault(std::string_view stage, int rank, int case_id) {
  if (!names(stage, rank, case_id)) return false;
  const std::string& kind = wanted()[2];
  if (kind == "hang")
    while (true) pause();
  if (kind == "throw") throw std::runtime_error("planted by DLSCALE_TEST_FAULT");
  return kind == "wrong";
}

std::unique_ptr<Workload> with_test_fault(std::unique_ptr<Workload> workload, int rank, int case_id) {
  if (!names("run", rank, case_id) && !names("block", rank, case_id)) return workload;
  return std::make_unique<FaultyWorkload>(std::move(workload), rank, case_id);
}

}  // namespace dlscale
