// SPDX-License-Identifier: BSD-3-Clause
/// One rank's part in training one network on several: the reduction, and that the replicas stay equal.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "nn/executor.hpp"
#include "nn/gradient_reducer.hpp"
#include "workloads/contract.hpp"
#include "workloads/together_mpi.hpp"
#include "workloads/train/replicas_mpi.hpp"

namespace dlscale {

/// Why this launch can't do what `overlap` asks for, or empty.
std::string overlap_unavailable(const Params& params);

/// What sums the gradients of an executor among the ranks of `comm`, made by all of them together.
using MakeReducer = std::function<std::unique_ptr<nn::GradientReducer>(const Communicator& comm,
                                                                       nn::Executor& executor)>;

class DataParallel {
 public:
  /// All must outlive it. The executor's training program is prepared.
  /// @note Collective over the participants, like all functions without "local" beside them.
  DataParallel(const WorkContext& context, const nn::Graph& graph, nn::Executor& executor);

  /// The same network on all ranks, with the first one's values; then the reducer can be used. `make`
  /// empty: MPI sums, as the key `overlap` says.
  void join(const MakeReducer& make = {});
  nn::GradientReducer& reducer() { return *reducer_; }  ///< local

  /// Compares the replicas when it is time, after so many steps; throws FailedTogether if they differ.
  void before_sample(std::int64_t steps);
  /// Weights differ between ranks: a failed check on those that do not hold what most do.
  Check check_replicas(std::int64_t steps);
  /// Reduces the gradients of a backward pass just made, and judges sums and equality.
  Check check_reduction(nn::GradientReducer& reducer);

  /// [bucket][ready, enter, done] in seconds since `begin_ns`; local.
  void bucket_times(std::int64_t begin_ns, std::span<double> seconds) const;
  /// Facts for the results, as a JSON object's text; local.
  std::string facts() const;

 private:
  /// A weight of a test's choice changes by one bit, once.
  struct Plant {
    std::int64_t step = -1;
    std::string tensor;
  };
  static std::optional<Plant> planted(int rank);
  void flip_planted(std::int64_t steps);
  const std::string& tensor_name(std::size_t index) const;
  std::string divergence(std::int64_t steps, int* rank);
  std::vector<double> projections(bool with_squares) const;

  const WorkContext& context_;
  const nn::Graph& graph_;
  nn::Executor& executor_;
  const Communicator& comm_;
  std::vector<int> world_ranks_;  ///< [participant]
  std::vector<int> tensors_;      ///< of the buckets
  std::unique_ptr<nn::GradientReducer> reducer_;
  std::optional<Plant> plant_;
  std::int64_t checked_at_ = 0, checks_ = 0;
  double check_s_ = 0;
};

}  // namespace dlscale
