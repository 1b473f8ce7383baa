// SPDX-License-Identifier: BSD-3-Clause
#include "measure/test_fault.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>

#include "base/text.hpp"
#include "measure/forwarding_workload.hpp"

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
         (words[3] == std::to_string(case_id) || words[3] == "*");
}

// In the middle, where neither a first nor a last row would be looked at for other reasons. The last
// byte of a number holds its exponent's top bit in f64, f32, f16 and bf16 alike.
void damage(std::span<std::byte> result, const std::string& kind) {
  constexpr std::size_t widest = sizeof(double);
  if (result.size() < widest) return;  // nothing is left here
  const auto number = result.subspan(result.size() / 2 / widest * widest, widest);
  if (kind == "nan") std::fill(number.begin(), number.end(), std::byte{0xFF});
  if (kind == "flip") number.back() ^= std::byte{0x40};
}

class FaultyWorkload final : public ForwardingWorkload {
 public:
  FaultyWorkload(std::unique_ptr<Workload> workload, int rank, int case_id)
      : ForwardingWorkload(std::move(workload)), rank_(rank), case_id_(case_id) {}
  void run() override {
    test_fault("run", rank_, case_id_);
    if (block_ >= 0 && runs_in_block_++ > 0) test_fault("block", rank_, case_id_);
    ForwardingWorkload::run();
  }
  Check verify() override {
    if (names("result", rank_, case_id_)) damage(last_result(), wanted()[2]);
    return ForwardingWorkload::verify();
  }
  void begin_block(std::int32_t block) override {
    block_ = block;
    runs_in_block_ = 0;
    ForwardingWorkload::begin_block(block);
  }

 private:
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
  if (!names("run", rank, case_id) && !names("block", rank, case_id) && !names("result", rank, case_id))
    return workload;
  return std::make_unique<FaultyWorkload>(std::move(workload), rank, case_id);
}

}  // namespace dlscale
