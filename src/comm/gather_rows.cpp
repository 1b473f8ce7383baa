// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "comm/agreement.hpp"
#include "comm/gather_pieces.hpp"

namespace dlscale {
namespace {

void require_equal_rows(const Communicator& comm, std::size_t bytes) {
  const auto size = static_cast<std::int64_t>(bytes);
  std::array<std::int64_t, 2> mine{size, -size}, most{};
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Iallreduce(mine.data(), most.data(), 2, MPI_INT64_T, MPI_MAX, comm.get(), &request));
  wait_asleep(request);
  if (most[0] != -most[1])
    throw Error(ExitCode::case_failed, "rows of different length can't be gathered",
                fmt::format("from {} to {} bytes; {} on rank {}", -most[1], most[0], size, comm.rank()),
                "report this: every rank must take the same number of samples");
}

/// Members of every node in ascending order of world rank, which is their order in node().
std::vector<std::vector<std::size_t>> members_by_node(const MpiSession& session) {
  std::vector<std::vector<std::size_t>> members(static_cast<std::size_t>(session.nodes()));
  const auto& nodes = session.node_of_rank();
  for (std::size_t rank = 0; rank < nodes.size(); ++rank)
    members[static_cast<std::size_t>(nodes[rank])].push_back(rank);
  return members;
}

/// Puts a piece of a node's rows, laid end to end, where their world ranks belong.
void scatter_rows(std::span<const std::byte> piece, std::size_t offset,
                  const std::vector<std::size_t>& members, std::size_t row_bytes,
                  std::vector<std::byte>& result) {
  while (!piece.empty()) {
    const std::size_t row = offset / row_bytes, column = offset % row_bytes;
    const std::size_t count = std::min(piece.size(), row_bytes - column);
    std::memcpy(result.data() + members[row] * row_bytes + column, piece.data(), count);
    piece = piece.subspan(count);
    offset += count;
  }
}

}  // namespace

std::vector<std::byte> gather_rows(const MpiSession& session, std::span<const std::byte> row,
                                   std::size_t piece_bytes) {
  const auto& node = session.node();
  const auto& leaders = session.leaders();
  require_equal_rows(session.world(), row.size());
  std::vector<std::byte> node_rows(leaders ? row.size() * static_cast<std::size_t>(node.size()) : 0);
  gather_pieces(node, row, piece_bytes, 0,
                [&](int rank, std::size_t offset, std::span<const std::byte> piece) {
                  std::memcpy(node_rows.data() + static_cast<std::size_t>(rank) * row.size() + offset,
                              piece.data(), piece.size());
                });
  if (session.nodes() == 1 || !leaders) return leaders ? std::move(node_rows) : std::vector<std::byte>{};

  const bool root = leaders.rank() == 0;
  const auto members = root ? members_by_node(session) : std::vector<std::vector<std::size_t>>{};
  std::vector<std::byte> result(root ? row.size() * static_cast<std::size_t>(session.world().size())
                                     : 0);
  gather_pieces(leaders, node_rows, piece_bytes, 0,
                [&](int from, std::size_t offset, std::span<const std::byte> piece) {
                  scatter_rows(piece, offset, members[static_cast<std::size_t>(from)], row.size(),
                               result);
                });
  return result;
}

}  // namespace dlscale
