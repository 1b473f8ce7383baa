// SPDX-License-Identifier: BSD-3-Clause
/// A collective operation of all participants: what is moved, how much of it, and where it lies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/contract.hpp"

namespace dlscale {

enum class CollectiveOp { allreduce, reduce_scatter, allgather, broadcast, alltoall };
std::string_view to_string(CollectiveOp op);

/// Sizes in elements. `count` is the message size S as nccl-tests counts it: the larger of a rank's two
/// buffers. Where ranks own equal blocks of it (reduce-scatter, all-gather, all-to-all) it is rounded
/// up to the next multiple of the ranks.
///
/// | op             | rank's input     | rank's output    | in place                         |
/// |----------------|------------------|------------------|----------------------------------|
/// | allreduce      | S                | S                | one buffer of S                  |
/// | reduce_scatter | S                | its block, S / p | result in the buffer's front     |
/// | allgather      | its block, S / p | S                | input at its place in the output |
/// | broadcast      | S at rank 0      | S elsewhere      | has one buffer anyway            |
/// | alltoall       | S                | S                | one buffer of S                  |
struct CollectiveShape {
  CollectiveOp op = CollectiveOp::allreduce;
  std::int64_t count = 1;
  int ranks = 1;
  bool in_place = false;

  bool in_blocks() const { return op != CollectiveOp::allreduce && op != CollectiveOp::broadcast; }
  bool sums() const { return op == CollectiveOp::allreduce || op == CollectiveOp::reduce_scatter; }
  std::int64_t block() const { return count / ranks; }
  std::int64_t input_count() const { return op == CollectiveOp::allgather ? block() : count; }
  std::int64_t output_count() const { return op == CollectiveOp::reduce_scatter ? block() : count; }
  bool one_buffer() const { return in_place || op == CollectiveOp::broadcast; }
  /// A repetition finds other inputs than the one before.
  bool compounds() const { return in_place && op != CollectiveOp::allgather; }
};
CollectiveShape collective_shape(const Params& params, int ranks);

std::int64_t element_bytes(const std::string& dtype);

/// Bus bytes per byte of S: what the busiest link of the best algorithm must carry (docs/metrics.md).
double bus_factor(CollectiveOp op, int ranks);

/// The pure half, shared by all variants.
std::vector<Key> collective_keys(std::vector<std::string> implementations);
std::vector<Params> collective_examples(const std::string& implementation);
std::string collective_validate(const Params& params);
/// What pairs of the same ranks reach: bandwidth, and latency.
std::vector<Roof> collective_roofs();
Cost collective_cost(const Params& params, int ranks, int threads);

}  // namespace dlscale
