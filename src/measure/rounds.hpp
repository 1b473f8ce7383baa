// SPDX-License-Identifier: BSD-3-Clause
/// In which order cases and their blocks are measured: groups one after the other, blocks inside a group
/// alternating.
#pragma once

#include <cstdint>
#include <vector>

#include "measure/controller.hpp"

namespace dlscale {

/// Order of the cases of one group in one round: a permutation that depends on seed, group and round
/// alone.
std::vector<int> shuffled_round(const std::vector<int>& case_ids, std::uint64_t seed, int group,
                                int round);

/// Which of the group's cases get one more block in this round, in order. `elapsed_s` and `budget_s` are
/// of the run; budget_s = 0: no limit. A case that has no block yet always gets one; cases short of
/// their blocks get one while the run is within 1.25 × its budget; converging cases while it is within
/// `group_end_s`. Cases left out are stopped with reason "time budget".
std::vector<int> next_round(const std::vector<int>& order, std::vector<CaseController>& controllers,
                            double elapsed_s, double budget_s, double group_end_s);

}  // namespace dlscale
