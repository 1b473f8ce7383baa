// SPDX-License-Identifier: BSD-3-Clause
/// pairwise through MPI_Sendrecv. A class of its own so that tests can plant errors in what arrived.
#pragma once

#include <vector>

#include "comm/communicator.hpp"
#include "device/buffer.hpp"
#include "workloads/pairwise/pairwise.hpp"

namespace dlscale {

/// Word i of what rank s sends in round k is word 8k + i of the sequence of s: one buffer serves all
/// rounds, and no two rounds send the same. Arrivals are kept apart, so that every round can be judged.
class PairwiseCpu final : public Workload {
 public:
  explicit PairwiseCpu(const WorkContext& context);
  void prepare() override;
  void reset() override;
  void run() override;
  void take_layers(std::span<double> seconds) override;
  Check verify() override;
  std::span<std::byte> last_result() override { return std::as_writable_bytes(in_.span()); }
  std::string results() const override;

  std::span<std::uint64_t> arrived(std::size_t round) {
    return in_.span().subspan(round * words_, words_);
  }
  int partner(std::size_t round) const { return partners_[round]; }  ///< MPI_PROC_NULL = idle

 private:
  std::size_t wrong_words(std::size_t round) const;

  const Communicator& comm_;
  std::uint64_t seed_;
  int bytes_;
  std::size_t words_;
  std::vector<int> partners_;  ///< [round], in the participants
  std::vector<std::int64_t> round_ns_;
  Buffer<std::uint64_t> out_, in_;
};

}  // namespace dlscale
