// SPDX-License-Identifier: BSD-3-Clause
/// Sums the gradients of a network's replicas, bucket by bucket: what the trainer knows of MPI or NCCL.
#pragma once

#include <cstdint>
#include <span>

namespace dlscale::nn {

/// Of one bucket in the last step, on the local clock.
struct BucketTimes {
  std::int64_t ready_ns = 0;  ///< its gradients were complete on this rank
  std::int64_t enter_ns = 0;  ///< this rank began to reduce it
  std::int64_t done_ns = 0;   ///< the sum was seen to be here
};

/// Every replica starts the same buckets in the same order: a sum of buckets that became ready in
/// different orders would hang or mix them up. Used by one thread.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  virtual int replicas() const = 0;
  /// The bucket's gradients are complete here; they must not be touched until finish() returns.
  virtual void start(int bucket) = 0;
  /// Called between layers: what moves data only when it is asked to may do so.
  virtual void progress() {}
  /// Waits until every bucket started since the last call holds the sum over all replicas.
  virtual void finish() = 0;
  /// [bucket], after finish().
  virtual std::span<const BucketTimes> times() const = 0;
};

}  // namespace dlscale::nn
