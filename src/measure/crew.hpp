// SPDX-License-Identifier: BSD-3-Clause
/// Who works with whom: communicators and barriers of every team's turns, made once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/barrier.hpp"
#include "comm/communicator.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// The ranks of one team.
struct Crew {
  std::vector<std::vector<int>> turns;  ///< world ranks, turn by turn
  std::vector<int> columns;             ///< all participants, ascending world ranks
  int own_turn = -1;                    ///< this rank's, −1 = parked
  Communicator comm;                    ///< ranks of the own turn; null when parked
  std::unique_ptr<DisseminationBarrier> barrier;
};

class Crews {
 public:
  /// @note Collective over `world`: one split per distinct team of the plan's cases, in plan order.
  Crews(const Communicator& world, const Plan& plan, const Layout& layout);
  const Crew& of(const Case& c) const;

 private:
  std::map<Team, Crew> crews_;
};

}  // namespace dlscale
