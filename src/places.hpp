// SPDX-License-Identifier: BSD-3-Clause
/// Where the ranks are: facts of every rank, gathered at the root, and the layout made from them.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "config/config.hpp"
#include "device/gpu_module.hpp"
#include "launch_times.hpp"
#include "plan/plan.hpp"
#include "record/provenance.hpp"
#include "record/run_file.hpp"

namespace dlscale {

/// One rank as it sees itself.
struct RankFacts {
  HostFacts host;
  std::string build_id;
  std::vector<std::string> comparable;  ///< "name: value" lines that must agree across ranks
  StartTimes start;
  int node = 0, local_rank = 0;
  std::vector<GpuDevice> gpus;  ///< that this rank sees; empty on the CPU
  int gpu = -1;                 ///< the one it works on (gpus.hpp)
};

/// @note Collective. All ranks' facts at the root, in rank order; empty elsewhere.
/// `device` cuda: GPUs are asked for too.
std::vector<RankFacts> gather_places(const MpiSession& session, const std::string& device);

/// The GPU a rank works on; nullptr without any.
const GpuDevice* gpu_of(const RankFacts& rank);

/// Pure. `device` is resolved by the caller.
Layout make_layout(const std::vector<RankFacts>& ranks, const std::string& device);

std::string layout_to_json(const Layout& layout);
Layout layout_from_json(const std::string& text);

/// Rows of /system/ranks.
std::vector<RankRow> rank_rows(const std::vector<RankFacts>& ranks, const Plan& plan);

/// This machine as the layout of a plan for `ranks` ranks one does not have.
Layout assumed_layout_here(int ranks, const std::string& device);

}  // namespace dlscale
