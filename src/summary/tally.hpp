// SPDX-License-Identifier: BSD-3-Clause
/// What the root keeps of a case's measured samples beside their times: means over ranks and samples for
/// the loss ledger (means add, medians don't) and the times of pairs. docs/metrics.md, "The ledger".
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "measure/controller.hpp"
#include "measure/samples.hpp"
#include "measure/statistics.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// Two ranks of the world that exchanged messages.
struct PairTime {
  int a = -1, b = -1;             ///< a < b
  double seconds = not_a_number;  ///< median over blocks and rounds of the blocks' medians
};

/// Seconds per repetition; NaN for what the case does not tell. Of a distributed case over those samples
/// that all participants have.
struct CaseMeans {
  double wall = not_a_number;     ///< T: from the first start to the last stop, on the common clock
  double own = not_a_number;      ///< d
  double blocked = not_a_number;  ///< M: in communication
  double waiting = not_a_number;  ///< W: of it until the last participant had arrived
  double arrival = not_a_number;  ///< between the first and the last start
  std::map<std::string, double> parts;
  std::vector<double> rank_own;  ///< [participant]; of cases that are not distributed, too
  std::vector<PairTime> pairs;
};

/// The part of the main thread's blocked time (`blocked`, [rank]) that ended before the last rank had
/// entered the reduction under way: reductions finish in order, and the wait ends with the last of them.
/// `late`: seconds behind the first start, [rank]; `buckets`: [rank][bucket][ready, enter, done].
std::vector<double> bucket_waiting(std::span<const double> late, std::span<const double> buckets,
                                   std::span<const double> blocked);

/// One case's samples as they come in, batch by batch.
class Tally {
 public:
  Tally() = default;
  /// `ranks`: the participants' world ranks.
  Tally(const Case& c, std::vector<int> ranks);
  void set_clocks(std::vector<ClockShift> clocks) { clocks_ = std::move(clocks); }
  void observe(const BatchSamples& samples);
  CaseMeans means() const;

 private:
  void add_row(const BatchSamples& samples, std::int32_t row);
  void add_pairs(const BatchSamples& samples);

  std::vector<int> ranks_;
  std::vector<std::string> part_names_;
  std::size_t buckets_ = 0;
  bool distributed_ = false, only_communication_ = false;
  int blocked_part_ = -1;
  std::vector<std::vector<int>> partners_;  ///< [round][participant]
  std::vector<ClockShift> clocks_;

  std::vector<double> rank_sums_;
  std::vector<std::int64_t> rank_counts_;
  std::int64_t rows_ = 0;  ///< with all participants
  double wall_ = 0, own_ = 0, blocked_ = 0, waiting_ = 0, arrival_ = 0;
  std::vector<double> part_sums_;
  std::map<std::pair<int, int>, std::vector<double>> pair_medians_;
};

}  // namespace dlscale
