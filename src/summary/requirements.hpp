// SPDX-License-Identifier: BSD-3-Clause
/// Performance that a job asks for (`require`), and what was measured.
#pragma once

#include <string>
#include <vector>

#include "summary/outcome.hpp"

namespace dlscale {

/// What a case that is over, or skipped, owes of its `require`; NaN meets nothing. Pure.
std::vector<MissedRequirement> missed_requirements(const Case& c, const std::vector<Case>& cases,
                                                   const std::vector<CaseOutcome>& outcomes);

/// Of the `results` of a case: `results` with the names of what was missed, for a later launch.
std::string with_missed(const std::string& results, const std::vector<MissedRequirement>& missed);
/// Whether these results name a missed requirement; text that was cut off names none.
bool names_missed(const std::string& results);

}  // namespace dlscale
