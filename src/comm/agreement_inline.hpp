// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

namespace dlscale {

template <class T>
void broadcast_value(const Communicator& comm, T& value, int root) {
  static_assert(std::is_trivially_copyable_v<T>);
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Ibcast(&value, static_cast<int>(sizeof(T)), MPI_BYTE, root, comm.get(), &request));
  wait_asleep(request);
}

}  // namespace dlscale
