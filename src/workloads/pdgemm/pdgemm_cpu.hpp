// SPDX-License-Identifier: BSD-3-Clause
/// pdgemm through ScaLAPACK. A class of its own so that tests can plant errors in C.
#pragma once

#include <memory>

#include "device/buffer.hpp"
#include "workloads/pdgemm/blacs_grid.hpp"
#include "workloads/pdgemm/blas_meter.hpp"
#include "workloads/pdgemm/pdgemm_check.hpp"

namespace dlscale {

/// One matrix: this rank's blocks and the descriptor that ScaLAPACK wants.
template <class T>
struct DealtMatrix {
  Dealt rows, cols;
  Buffer<T> data;
  int descriptor[9] = {};
  LocalBlocks<T> blocks() const { return {rows, cols, data.span()}; }
};

template <class T>
class PdgemmCpu final : public Workload {
 public:
  explicit PdgemmCpu(const WorkContext& context);
  void prepare() override;
  void reset() override;
  void run() override;
  void take_parts(std::span<double> seconds) override;
  Check verify() override;
  std::span<std::byte> last_result() override { return std::as_writable_bytes(c_.data.span()); }
  std::string results() const override;

  bool in_grid() const { return static_cast<bool>(grid_comm_); }
  DealtMatrix<T>& matrix(GemmOperand operand);
  const PdgemmCase& layout() const { return case_; }

 private:
  void allocate();
  void multiply(std::int64_t logical_block);
  double slowest_s(std::int64_t logical_block);
  void compare_with_librarys_block();

  PdgemmCase case_;
  std::uint64_t seed_;
  int threads_;
  const Communicator* participants_;
  Communicator grid_comm_;           ///< ranks of the grid; null on those that wait
  std::unique_ptr<BlacsGrid> grid_;  ///< after its communicator: it goes first
  DealtMatrix<T> a_, b_, c_;
  std::int64_t repetitions_ = 0;

  // Since the last take_parts().
  std::int64_t run_ns_ = 0;

  // For results().
  std::int64_t runs_ = 0, mpi_calls_ = 0, blas_calls_ = 0;
  BlasTime largest_;
  std::int64_t last_run_ns_ = 0;
  bool asks_for_block_ = false;
  double librarys_block_s_ = 0, own_block_s_ = 0;  ///< shortest of so many pairs; 0: not compared
  int block_pairs_ = 0;
};

}  // namespace dlscale
