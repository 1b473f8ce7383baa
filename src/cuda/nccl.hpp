// SPDX-License-Identifier: BSD-3-Clause
/// NCCL among the ranks of an MPI communicator, each on its own GPU. Ordered by streams and events like
/// any other kernel; a peer that fails is an error here, not a hang.
#pragma once

#include <nccl.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "cuda/fill.hpp"
#include "cuda/stream.hpp"

namespace dlscale::cuda {

/// Error(case_failed): "ncclAllReduce failed (unhandled system error: …)".
void check(ncclResult_t code, const char* call);

/// Type of elements that NCCL moves and sums.
ncclDataType_t nccl_type(Element type);

/// Aborting is what any rank may do by itself, at any time.
struct NcclTraits {
  static ncclComm_t null() { return nullptr; }
  static void close(ncclComm_t comm) noexcept { ncclCommAbort(comm); }
};

/// Owns ncclComm_t. NCCL's calls may be given get() together with any stream; stream() is one
/// whose kernels come first, so that a sum that others wait for is not behind a product that nobody
/// waits for.
class NcclCommunicator {
 public:
  /// The unique id goes from rank 0 to the others by MPI. What fails on a rank before they meet fails on
  /// all: FailedTogether.
  /// @note Collective over `comm`.
  explicit NcclCommunicator(const Communicator& comm);
  /// Gives it back, which is collective; after an error, or while an exception unwinds the stack, it is
  /// aborted instead, which is not.
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  ncclComm_t get() const noexcept { return comm_.get(); }
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  const Stream& stream() const noexcept { return stream_; }

  /// Throws Error(case_failed) after aborting what is in flight, if NCCL has lost another rank.
  void fail_if_broken();
  /// wait_for() of its own stream.
  void wait();

 private:
  int rank_ = 0, size_ = 1;
  Stream stream_{Priority::first};
  Handle<NcclTraits> comm_;
};

/// Waits until `stream` has done everything, and looks meanwhile whether one of its communicators has
/// lost a rank: then what is in flight is aborted and Error(case_failed) says why. A peer that neither
/// fails nor arrives is the watchdog's affair. nullptr: none.
void wait_for(const Stream& stream, std::initializer_list<NcclCommunicator*> communicators);

/// The one of these ranks, as long as anyone holds it: cases of the same ranks share it, since each
/// takes seconds to make and hundreds of MB. All ranks must take and leave it in the same order.
/// @note Collective over `comm`, whose handle must stay that of the same ranks while the result lives.
std::shared_ptr<NcclCommunicator> shared_nccl(const Communicator& comm);

/// "2.28.9".
std::string nccl_version();

}  // namespace dlscale::cuda
