// SPDX-License-Identifier: BSD-3-Clause
/// gemm through the loaded BLAS. A class of its own so that tests can plant errors in C.
#pragma once

#include "device/buffer.hpp"
#include "workloads/gemm/gemm.hpp"

namespace dlscale {

template <class T>
class GemmCpu final : public Workload {
 public:
  explicit GemmCpu(const WorkContext& context);
  void prepare() override;
  void reset() override;
  void run() override;
  Check verify() override;
  std::span<std::byte> last_result() override { return std::as_writable_bytes(c_.span()); }
  std::string results() const override;

  std::span<T> c() { return c_.span(); }

 private:
  GemmShape shape_;
  std::uint64_t seed_;
  int threads_;
  std::int64_t repetitions_ = 0;
  Buffer<T> a_, b_, c_;
};

}  // namespace dlscale
