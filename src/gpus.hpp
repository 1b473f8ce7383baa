// SPDX-License-Identifier: BSD-3-Clause
/// Which rank works on which GPU.
#pragma once

#include <vector>

#include "places.hpp"

namespace dlscale {

/// For every rank the index of its GPU in its own list; −1 without any. Pure. Per node in the order of
/// the local ranks: of the GPUs least used so far (by UUID, since Slurm may show each rank its own
/// alone) one on the NUMA domain of the rank's cores, the first of several. A rank that may run on all
/// of the node's cores is near to every GPU.
std::vector<int> assign_gpus(const std::vector<RankFacts>& ranks);

/// Sets `gpu` of all facts at the root and makes it this process's device on every rank.
/// @return what went wrong, the same on all ranks; empty when nothing did. @note Collective.
std::string take_gpus(const MpiSession& session, std::vector<RankFacts>& facts);

/// Every rank's GPU, for the record (docs/file-format.md). Pure.
std::string gpus_to_json(const std::vector<RankFacts>& ranks);

}  // namespace dlscale
