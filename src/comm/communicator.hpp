// SPDX-License-Identifier: BSD-3-Clause
/// MPI session and communicators: owned, errors returned and checked, waits that sleep.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace dlscale {

/// An MPI call failed. what(): call, MPI's own text, rank and host, place.
class MpiError : public Error {
 public:
  MpiError(int code, const char* call, const char* file, int line);
};

/// Every MPI call goes through this: MPI_Xxx(args) != MPI_SUCCESS throws MpiError.
#define DLSCALE_MPI(call)                                              \
  do {                                                                 \
    if (const int mpi_code_ = (call); mpi_code_ != MPI_SUCCESS)        \
      throw ::dlscale::MpiError(mpi_code_, #call, __FILE__, __LINE__); \
  } while (false)

/// A communicator, owned (freed at the end) or wrapped (MPI_COMM_WORLD). Its error handler is
/// MPI_ERRORS_RETURN. While an exception unwinds the stack an owned one is left to MPI_Finalize: freeing
/// is collective, and the other ranks may be elsewhere.
class Communicator {
 public:
  enum class Ownership { owned, wrapped };
  Communicator() = default;  ///< null
  Communicator(MPI_Comm comm, Ownership ownership);
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  MPI_Comm get() const noexcept { return comm_; }
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return comm_ != MPI_COMM_NULL; }

  /// @note Collective. A communicator of the same ranks whose messages meet no other's.
  Communicator duplicate() const;
  /// @note Collective. color < 0: this rank gets a null communicator.
  Communicator split(int color, int key) const;
  /// @note Collective. Ranks that share memory.
  Communicator split_node() const;

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = -1, size_ = 0;
  Ownership ownership_ = Ownership::wrapped;
};

/// Owns MPI_Init_thread / MPI_Finalize. One per process. Nodes are numbered by the lowest world rank
/// they hold.
///
/// The destructor finalises only in peace: MPI_Finalize waits for every rank, so while an exception
/// unwinds the stack it is left out, and the launcher ends the job because this rank went without it. A
/// run with a rank that is known to be dead or stuck must leave through _exit (Watchdog does), never
/// through this destructor.
///
/// For tests only: DLSCALE_TEST_RANKS_PER_NODE=n makes several "nodes" of n ranks on one host (the last
/// one may be smaller), with DLSCALE_TEST_NODE_ROUND_ROBIN=1 rank r goes to node r mod nodes.
class MpiSession {
 public:
  /// Asks for `wanted`; less than `least` throws Error(refused), what lies between is up to the caller.
  explicit MpiSession(int wanted = MPI_THREAD_FUNNELED, int least = MPI_THREAD_FUNNELED);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  const Communicator& world() const { return world_; }  ///< a duplicate of MPI_COMM_WORLD: ours alone
  const Communicator& node() const { return node_; }    ///< ranks of this host
  const Communicator& leaders() const {
    return leaders_;
  }  ///< local rank 0 of every node; null elsewhere
  int node_index() const { return node_index_; }
  int nodes() const { return nodes_; }
  const std::vector<int>& node_of_rank() const {
    return node_of_rank_;
  }  ///< [world rank]; on every rank
  double init_seconds() const { return init_seconds_; }
  static std::string library_version();

 private:
  void make_communicators();

  double init_seconds_ = 0;
  int node_index_ = 0, nodes_ = 1;
  std::vector<int> node_of_rank_;
  Communicator world_, node_, leaders_;
};

/// Waits for a request without burning its core: tests it a few hundred times, then sleeps between tests
/// (50 µs growing to 1 ms; to 4 ms when it waited for a second: 0.4 % of the wait). For parked ranks: <
/// 2 % of a core. The request is completed on return.
void wait_asleep(MPI_Request& request);

}  // namespace dlscale
