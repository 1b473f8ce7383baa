// SPDX-License-Identifier: BSD-3-Clause
/// Clock offsets of nodes against the root's node, with their error.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "comm/communicator.hpp"

namespace dlscale {

struct ClockOffset {
  int node = 0;
  std::int64_t offset_ns = 0;   ///< add to this node's clock to get the root's clock
  std::int64_t min_rtt_ns = 0;  ///< 0 for the root's own node
  std::int64_t error_ns = 0;    ///< ± half of the smallest round trip
  std::int64_t at_ns = 0;       ///< root's clock at the measurement
};

/// Flat ping-pong of the root with every other node's leader, `pings` round trips each; the one with the
/// smallest round trip counts (Cristian 1989). Ranks of one node share their clock. `clock` is this
/// rank's (tests shift it).
/// @note Collective over session.leaders(); returns the table at world rank 0, empty elsewhere. No-op on
/// other ranks.
std::vector<ClockOffset> measure_clock_offsets(const MpiSession& session, int pings = 40,
                                               std::int64_t (*clock)() = now_ns);

}  // namespace dlscale
