// SPDX-License-Identifier: BSD-3-Clause
/// collective through MPI, from and to host memory.
#pragma once

#include "comm/communicator.hpp"
#include "device/buffer.hpp"
#include "workloads/collective/collective_data.hpp"

namespace dlscale {

/// How MPI is told of a type. bf16 travels as its bits; an operation that sums them is an OwnedMpiOp's
/// affair.
template <class T>
MPI_Datatype mpi_type();

/// Carries the operation out; `send` may be MPI_IN_PLACE. The message was validated to fit MPI's counts.
/// @note Collective over comm.
void call_mpi(const CollectiveShape& shape, const void* send, void* out, MPI_Datatype type, MPI_Op sum,
              const Communicator& comm);

template <class T>
class CollectiveMpi final : public Workload {
 public:
  explicit CollectiveMpi(const WorkContext& context);
  void prepare() override;
  void reset() override;
  void before_sample() override;
  void run() override;
  Check verify() override;
  std::span<std::byte> last_result() override { return std::as_writable_bytes(output()); }
  std::string results() const override;

  /// What verify() judges. For tests, which plant errors in it.
  std::span<T> output() { return out_.span().first(static_cast<std::size_t>(shape_.output_count())); }

 private:
  void fill_input();
  bool is_root() const { return rank_ == 0; }

  const Communicator& comm_;
  CollectiveShape shape_;
  int rank_ = 0;
  CollectiveData<T> data_;
  Buffer<T> in_, out_;  ///< in place: out_ alone
  OwnedMpiOp own_sum_;
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
  MPI_Op sum_ = MPI_OP_NULL;
  const void* send_ = nullptr;
  std::int64_t runs_ = 0;  ///< since the input was filled
  bool ran_once_more_ = false;
};

}  // namespace dlscale
