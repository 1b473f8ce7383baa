// SPDX-License-Identifier: BSD-3-Clause
/// What a plan asks of a layout, worked out once per team. Internal to plan.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.hpp"

namespace dlscale {

/// Ranks per node that "<n>" asks for; 0 for other occupancies.
int ranks_at_once(std::string_view occupancy);

/// True for "alone", "together" and "<n>" with n ≥ 1.
bool is_occupancy(std::string_view occupancy);

/// Ranks that take part, over all turns, and what the tightest node leaves to each.
struct Participants {
  int turns = 0;
  int ranks = 0;
  int nodes = 0;            ///< nodes with at least one participant
  int most_at_once = 0;     ///< on one node in one turn
  int least_cores = 1;      ///< of a participant
  double memory_bytes = 0;  ///< per rank on the tightest node; infinite when unknown
  std::string tightest;     ///< "node n3: 47 GiB shared by 8 ranks"
};

class Machine {
 public:
  /// Throws Error(bad_input) when the layout has no ranks or a rank's node does not exist.
  explicit Machine(const Layout& layout);

  const Participants& participants(const Team& team);
  const Layout& layout() const { return layout_; }
  /// Threads of a rank when nobody says: the cores every rank has.
  int auto_threads() const { return least_cores_; }
  int most_ranks_per_node() const { return most_ranks_per_node_; }

  /// Seconds of one repetition from the assumed rates: the longer of computing and memory traffic, plus
  /// the network.
  double predicted_s(const Case& c, bool distributed);
  /// Seconds to allocate and fill the memory of a case, from the assumed memory rate.
  double prepare_s(const Case& c);

 private:
  Participants count(const Team& team) const;

  const Layout& layout_;
  std::vector<int> ranks_on_;  ///< [node]
  int least_cores_ = 1;
  int most_ranks_per_node_ = 0;
  std::map<Team, Participants> known_;
};

}  // namespace dlscale
