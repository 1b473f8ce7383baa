// SPDX-License-Identifier: BSD-3-Clause
/// conv2d through oneDNN. A class of its own so that tests can plant errors in the result.
#pragma once

#include <map>
#include <vector>

#include "device/buffer.hpp"
#include "workloads/conv2d/conv2d_kernel.hpp"

namespace dlscale {

class Conv2dCpu final : public Workload {
 public:
  explicit Conv2dCpu(const WorkContext& context);
  void prepare() override;
  void reset() override;
  void run() override;
  Check verify() override;
  std::span<std::byte> last_result() override;
  std::string results() const override;

  /// What the last run() wrote, as float32 in canonical layout; and the reverse, for tests.
  std::vector<float> result() const;
  void set_result(std::vector<float> values);

 private:
  /// A tensor in the library's layout, in memory of ours.
  struct Tensor {
    Buffer<char> storage;
    nn::onednn::Memory memory;
  };
  /// An implementation, ready to run.
  struct Ready {
    Conv2dImplementation implementation;
    Tensor x, w, y, scratch;
    dnnl::primitive primitive;
    nn::onednn::Arguments arguments;

    const Tensor& tensor(Conv2dOperand operand) const;
    void run();
  };

  Ready make_ready(const Conv2dImplementation& implementation) const;
  /// The operand as drawn, rounded to the case's type, as float32 in canonical layout.
  std::vector<float> drawn(Conv2dOperand operand) const;
  static Tensor allocate(const nn::onednn::Desc& desc);

  Conv2dCase case_;
  std::uint64_t seed_;
  int threads_;
  Ready ready_;
  std::map<std::string, double> tried_s_;  ///< candidate → shortest of its trial runs
};

}  // namespace dlscale
