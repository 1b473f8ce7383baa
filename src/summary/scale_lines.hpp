// SPDX-License-Identifier: BSD-3-Clause
/// Lines of the summary about ranks that work together: pairs, all-reduce, efficiency, losses.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "summary/summary.hpp"

namespace dlscale {

using SummaryLine = std::pair<std::string, std::string>;  ///< label, text

/// The worst pair of nodes (of ranks, on one node), bus bandwidth of an all-reduce of the model's
/// gradients, and the efficiency of every scaling curve at its largest number of ranks.
std::vector<SummaryLine> scale_lines(const RunSummary& run);

/// The two largest losses, in points of efficiency: of the ledgers of all curves, and of cases that ran
/// alone and together. Empty when nothing was lost.
std::string largest_losses(const RunSummary& run);

}  // namespace dlscale
