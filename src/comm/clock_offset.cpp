// SPDX-License-Identifier: BSD-3-Clause
#include "comm/clock_offset.hpp"

#include <algorithm>
#include <limits>

namespace dlscale {
namespace {

constexpr int ping_tag = 71, reply_tag = 72;

/// Root's side. The first round trip wakes the other node's leader and does not count.
ClockOffset ask(const Communicator& leaders, int node, int pings, std::int64_t (*clock)()) {
  ClockOffset best{.node = node, .min_rtt_ns = std::numeric_limits<std::int64_t>::max()};
  for (int ping = -1; ping < pings; ++ping) {
    std::int64_t there_ns = 0;
    const std::int64_t sent_ns = clock();
    DLSCALE_MPI(MPI_Send(&sent_ns, 1, MPI_INT64_T, node, ping_tag, leaders.get()));
    DLSCALE_MPI(MPI_Recv(&there_ns, 1, MPI_INT64_T, node, reply_tag, leaders.get(), MPI_STATUS_IGNORE));
    const std::int64_t rtt_ns = clock() - sent_ns;
    if (ping < 0 || rtt_ns >= best.min_rtt_ns) continue;
    best.min_rtt_ns = rtt_ns;
    best.at_ns = sent_ns + rtt_ns / 2;
    best.offset_ns = best.at_ns - there_ns;
  }
  best.error_ns = (best.min_rtt_ns + 1) / 2;
  return best;
}

void answer(const Communicator& leaders, int pings, std::int64_t (*clock)()) {
  for (int ping = -1; ping < pings; ++ping) {
    std::int64_t sent_ns = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    DLSCALE_MPI(MPI_Irecv(&sent_ns, 1, MPI_INT64_T, 0, ping_tag, leaders.get(), &request));
    if (ping < 0)
      wait_asleep(request);  // until its turn comes
    else
      DLSCALE_MPI(MPI_Wait(&request, MPI_STATUS_IGNORE));
    const std::int64_t here_ns = clock();
    DLSCALE_MPI(MPI_Send(&here_ns, 1, MPI_INT64_T, 0, reply_tag, leaders.get()));
  }
}

}  // namespace

std::vector<ClockOffset> measure_clock_offsets(const MpiSession& session, int pings,
                                               std::int64_t (*clock)()) {
  const auto& leaders = session.leaders();
  if (!leaders) return {};
  pings = std::max(pings, 1);
  if (leaders.rank() != 0) {
    answer(leaders, pings, clock);
    return {};
  }
  std::vector<ClockOffset> table{ClockOffset{.at_ns = clock()}};
  for (int node = 1; node < leaders.size(); ++node) table.push_back(ask(leaders, node, pings, clock));
  return table;
}

}  // namespace dlscale
