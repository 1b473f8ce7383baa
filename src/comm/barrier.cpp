// SPDX-License-Identifier: BSD-3-Clause
#include "comm/barrier.hpp"

namespace dlscale {

DisseminationBarrier::DisseminationBarrier(const Communicator& comm) : comm_(comm.duplicate()) {
  const int size = comm_.size(), rank = comm_.rank();
  int round = 0;
  for (std::int64_t distance = 1; distance < size; distance *= 2, ++round) {
    const int step = static_cast<int>(distance);
    const int from = static_cast<int>((std::int64_t{rank} + size - step) % size);
    const int to = static_cast<int>((std::int64_t{rank} + step) % size);
    requests_.resize(requests_.size() + 2, MPI_REQUEST_NULL);
    MPI_Request* pair = &requests_[requests_.size() - 2];
    DLSCALE_MPI(MPI_Recv_init(nullptr, 0, MPI_BYTE, from, round, comm_.get(), &pair[0]));
    DLSCALE_MPI(MPI_Send_init(nullptr, 0, MPI_BYTE, to, round, comm_.get(), &pair[1]));
  }
}

DisseminationBarrier::~DisseminationBarrier() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized != 0) return;
  // Local and inactive: nothing is left to fail, and a destructor could do nothing about it.
  for (auto& request : requests_)
    if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
}

void DisseminationBarrier::wait() {
  for (std::size_t first = 0; first < requests_.size(); first += 2) {
    DLSCALE_MPI(MPI_Startall(2, &requests_[first]));
    DLSCALE_MPI(MPI_Waitall(2, &requests_[first], MPI_STATUSES_IGNORE));
  }
}

}  // namespace dlscale
