// SPDX-License-Identifier: BSD-3-Clause
/// Performance that a job asks for (`require`), and what was measured.
#pragma once

#include <string>
#include <vector>

#include "summary/outcome.hpp"

namespace dlscale {

/// What a case that is over, or skipped, owes of its `require`, by what is known of the others so far;
/// NaN meets nothing. `resumed`: the launch goes on with another's file, whose cases are unknown. Pure.
std::vector<MissedRequirement> missed_requirements(const Case& c, const Plan& plan, const Layout& layout,
                                                   const std::vector<CaseOutcome>& outcomes,
                                                   bool resumed);
/// Whether what the case owes depends on cases that end after it.
bool depends_on_others(const Case& c);

/// Of the `results` of a case: `results` with the names of what was missed (no older ones), for a later
/// launch.
std::string with_missed(const std::string& results, const std::vector<MissedRequirement>& missed);
/// Whether these results name a missed requirement; text that was cut off names none.
bool names_missed(const std::string& results);

}  // namespace dlscale
