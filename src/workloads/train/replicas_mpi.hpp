// SPDX-License-Identifier: BSD-3-Clause
/// Replicas of one network on several ranks: made equal, and shown to be.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "nn/executor.hpp"

namespace dlscale {

/// Where something that must be the same on all ranks is not.
struct Difference {
  std::size_t index = 0;
  int rank = -1;  ///< in `comm`: the first that differs from the most common value (of the lowest rank)
};

/// The first of `values` that is not the same on all ranks; the same answer everywhere. Costs one
/// reduction of 16 bytes when all is well.
/// @note Collective over comm.
std::optional<Difference> first_difference(const Communicator& comm,
                                           std::span<const std::uint64_t> values);

/// Tensors of a network in the order of its buckets.
std::vector<int> bucket_tensors(std::span<const nn::Bucket> buckets);
enum class Held { parameters, gradients };
/// Calls visit(tensor, its values, padding included) in that order.
template <class Visit>
void for_each_tensor(std::span<const nn::Bucket> buckets, Held held, Visit&& visit) {
  for (const nn::Bucket& bucket : buckets) {
    float* at = held == Held::parameters ? bucket.parameters : bucket.gradients;
    for (std::size_t m = 0; m < bucket.members.size(); at += bucket.counts[m], ++m)
      visit(bucket.members[m], std::span(at, static_cast<std::size_t>(bucket.counts[m])));
  }
}
/// One hash for each of bucket_tensors().
std::vector<std::uint64_t> hash_tensors(std::span<const nn::Bucket> buckets, Held held);

/// Throws the same Error(case_failed) on all ranks unless all parameters have the same name, shape and
/// place in memory: gradients are summed as they lie there, and a library may lay them out otherwise on
/// another processor. Overwrites the parameters.
/// @note Collective over comm.
void demand_same_network(const Communicator& comm, const nn::Graph& graph, nn::Executor& executor);

/// Parameters and running statistics of rank 0 reach all.
/// @note Collective over comm.
void broadcast_network(const Communicator& comm, const nn::Graph& graph, nn::Executor& executor);

}  // namespace dlscale
