// SPDX-License-Identifier: BSD-3-Clause
#include "measure/crew.hpp"

#include <algorithm>

namespace dlscale {

Crews::Crews(const Communicator& world, const Plan& plan, const Layout& layout) {
  for (const Case& c : plan.cases) {
    const Team team = c.team();
    if (c.status == CaseStatus::skipped || crews_.contains(team)) continue;
    Crew crew;
    crew.turns = turns(team, layout);
    for (std::size_t t = 0; t < crew.turns.size(); ++t)
      for (const int rank : crew.turns[t]) {
        crew.columns.push_back(rank);
        if (rank == world.rank()) crew.own_turn = static_cast<int>(t);
      }
    std::sort(crew.columns.begin(), crew.columns.end());
    crew.comm = world.split(crew.own_turn, world.rank());
    if (crew.comm) crew.barrier = std::make_unique<DisseminationBarrier>(crew.comm);
    crews_.emplace(team, std::move(crew));
  }
}

const Crew& Crews::of(const Case& c) const {
  return crews_.at(c.team());
}

}  // namespace dlscale
