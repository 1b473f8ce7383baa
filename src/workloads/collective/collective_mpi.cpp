// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/collective/collective_mpi.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace dlscale {

template <class T>
MPI_Datatype mpi_type() {
  if constexpr (std::is_same_v<T, double>) return MPI_DOUBLE;
  if constexpr (std::is_same_v<T, float>) return MPI_FLOAT;
  return MPI_UINT16_T;
}
template MPI_Datatype mpi_type<float>();
template MPI_Datatype mpi_type<double>();
template MPI_Datatype mpi_type<Bf16>();

void call_mpi(const CollectiveShape& shape, const void* send, void* out, MPI_Datatype type, MPI_Op sum,
              const Communicator& comm) {
  const auto count = static_cast<int>(shape.count), block = static_cast<int>(shape.block());
  switch (shape.op) {
    case CollectiveOp::allreduce:
      DLSCALE_MPI(MPI_Allreduce(send, out, count, type, sum, comm.get()));
      break;
    case CollectiveOp::reduce_scatter:
      DLSCALE_MPI(MPI_Reduce_scatter_block(send, out, block, type, sum, comm.get()));
      break;
    case CollectiveOp::allgather:
      DLSCALE_MPI(MPI_Allgather(send, block, type, out, block, type, comm.get()));
      break;
    case CollectiveOp::broadcast:
      DLSCALE_MPI(MPI_Bcast(out, count, type, 0, comm.get()));
      break;
    case CollectiveOp::alltoall:
      DLSCALE_MPI(MPI_Alltoall(send, block, type, out, block, type, comm.get()));
      break;
  }
}

template <class T>
CollectiveMpi<T>::CollectiveMpi(const WorkContext& context)
    : comm_(*context.participants),
      shape_(collective_shape(context.params, comm_.size())),
      rank_(comm_.rank()),
      data_(shape_, context.seed) {}

// Nothing here waits for other ranks, so one that finds no memory leaves none of them behind.
template <class T>
void CollectiveMpi<T>::prepare() {
  type_ = mpi_type<T>();
  sum_ = MPI_SUM;
  if (std::is_same_v<T, Bf16> && shape_.sums()) {
    own_sum_ = make_bf16_sum();
    sum_ = own_sum_.get();
  }
  if (shape_.one_buffer()) {
    out_ = Buffer<T>(static_cast<std::size_t>(shape_.count));
    send_ = MPI_IN_PLACE;
  } else {
    in_ = Buffer<T>(static_cast<std::size_t>(shape_.input_count()));
    out_ = Buffer<T>(static_cast<std::size_t>(shape_.output_count()));
    send_ = in_.data();
    data_.fill(rank_, 0, in_.span());
  }
  reset();
}

// What is not written again shows up as NaN.
template <class T>
void CollectiveMpi<T>::reset() {
  const T nan = ElementTraits<T>::from(std::numeric_limits<double>::quiet_NaN());
  std::fill(out_.span().begin(), out_.span().end(), nan);
  fill_input();
}

// Of one buffer: where the operation looks for this rank's input.
template <class T>
void CollectiveMpi<T>::fill_input() {
  runs_ = 0;
  if (!shape_.one_buffer() || (shape_.op == CollectiveOp::broadcast && !is_root())) return;
  const bool gathers = shape_.op == CollectiveOp::allgather;
  const auto first = static_cast<std::size_t>(gathers ? rank_ * shape_.block() : 0);
  data_.fill(rank_, 0, out_.span().subspan(first, static_cast<std::size_t>(shape_.input_count())));
}

// In place a repetition takes the result of the one before as its input: every sample starts afresh.
// Sums that grow through the repetitions of one sample may become infinite; adding infinities of one
// sign (the result is the same on all ranks) takes no longer than adding numbers, in SSE, AVX and NEON.
template <class T>
void CollectiveMpi<T>::before_sample() {
  if (shape_.compounds()) fill_input();
}

template <class T>
void CollectiveMpi<T>::run() {
  call_mpi(shape_, send_, out_.data(), type_, sum_, comm_);
  ++runs_;
}

template <class T>
Check CollectiveMpi<T>::verify() {
  if (shape_.compounds() && runs_ != 1) {  // the same on all ranks
    reset();
    run();
    ran_once_more_ = true;
  }
  Check check = data_.check(rank_, output());
  check.method += ran_once_more_ ? "; repetitions compound in place: refilled and run once more"
                                 : "; what the last timed run left";
  return check;
}

template <class T>
std::string CollectiveMpi<T>::results() const {
  nlohmann::json facts = {
      {"implementation", "mpi"},
      {"message_bytes", shape_.count * static_cast<std::int64_t>(sizeof(T))},
      {"checked", ran_once_more_ ? "one more run, refilled" : "the last timed run"},
  };
  if (own_sum_) facts["bf16_sum"] = std::string(available_bf16_sum_kernels().front().name);
  return facts.dump();
}

template class CollectiveMpi<float>;
template class CollectiveMpi<double>;
template class CollectiveMpi<Bf16>;

}  // namespace dlscale
