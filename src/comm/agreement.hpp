// SPDX-License-Identifier: BSD-3-Clause
/// What ranks must do together outside timed stretches. All of it sleeps while it waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace dlscale {

/// Outcome of "did it work everywhere?": the lowest failing rank and what it said.
struct Agreement {
  bool ok = true;
  int rank = -1;  ///< first failing rank (in `comm`)
  int failures = 0;
  std::string message;  ///< the first failing rank's
};
/// @note Collective. All ranks get the same answer.
Agreement agree(const Communicator& comm, bool ok, const std::string& message);

/// @note Collective. `bytes` of the root reach all, in pieces below 2^30 bytes.
void broadcast_bytes(const Communicator& comm, std::string& bytes, int root = 0);

/// @note Collective. Fixed-size struct from root to all.
template <class T>
void broadcast_value(const Communicator& comm, T& value, int root = 0);

/// @note Collective. Maximum / sum over ranks.
double max_over_ranks(const Communicator& comm, double value);
std::int64_t sum_over_ranks(const Communicator& comm, std::int64_t value);

/// @note Collective. Text of every rank, at the root in rank order (empty elsewhere).
std::vector<std::string> gather_texts(const Communicator& comm, const std::string& text, int root = 0);

/// Two-level gather of equally long rows: ranks → their node's leader → world rank 0, in pieces of at
/// most `piece_bytes` per message. At world rank 0 the result holds world.size() × row.size() bytes in
/// world rank order.
/// @note Collective over session.world(). Every rank must pass the same row.size().
std::vector<std::byte> gather_rows(const MpiSession& session, std::span<const std::byte> row,
                                   std::size_t piece_bytes = std::size_t{8} << 20);

}  // namespace dlscale

#include "comm/agreement_inline.hpp"
