// SPDX-License-Identifier: BSD-3-Clause
#include "comm/gather_pieces.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace dlscale {
namespace {

constexpr std::size_t staging_bytes = std::size_t{256} << 20;  // below 2^31, as displacements are ints

/// Part of a string of `size` bytes that travels in the round starting at `offset`.
std::size_t part(std::size_t size, std::size_t offset, std::size_t piece) {
  return size <= offset ? 0 : std::min(size - offset, piece);
}

std::int64_t longest_of(const Communicator& comm, std::int64_t mine) {
  MPI_Request request = MPI_REQUEST_NULL;
  std::int64_t longest = 0;
  DLSCALE_MPI(MPI_Iallreduce(&mine, &longest, 1, MPI_INT64_T, MPI_MAX, comm.get(), &request));
  wait_asleep(request);
  return longest;
}

std::vector<std::int64_t> sizes_at_root(const Communicator& comm, std::int64_t mine, int root) {
  std::vector<std::int64_t> sizes(comm.rank() == root ? static_cast<std::size_t>(comm.size()) : 0);
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(
      MPI_Igather(&mine, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, root, comm.get(), &request));
  wait_asleep(request);
  return sizes;
}

/// What arrives in one round, rank after rank.
struct Staging {
  std::vector<int> counts, starts;
  std::vector<std::byte> bytes;

  void lay_out(const std::vector<std::int64_t>& sizes, std::size_t offset, std::size_t piece) {
    counts.resize(sizes.size());
    starts.resize(sizes.size());
    std::size_t total = 0;
    for (std::size_t r = 0; r < sizes.size(); ++r) {
      const std::size_t count = part(static_cast<std::size_t>(sizes[r]), offset, piece);
      counts[r] = static_cast<int>(count);
      starts[r] = static_cast<int>(total);
      total += count;
    }
    bytes.resize(total);
  }
};

}  // namespace

void gather_pieces(const Communicator& comm, std::span<const std::byte> mine, std::size_t piece_bytes,
                   int root, const PlacePiece& place) {
  const auto my_size = static_cast<std::int64_t>(mine.size());
  const auto longest = static_cast<std::size_t>(longest_of(comm, my_size));
  if (longest == 0) return;
  const auto sizes = sizes_at_root(comm, my_size, root);
  const std::size_t share = staging_bytes / static_cast<std::size_t>(comm.size());
  const std::size_t piece = std::max<std::size_t>(1, std::min(piece_bytes, share));
  Staging staging;
  for (std::size_t offset = 0; offset < longest; offset += piece) {
    staging.lay_out(sizes, offset, piece);
    const std::size_t count = part(mine.size(), offset, piece);
    MPI_Request request = MPI_REQUEST_NULL;
    DLSCALE_MPI(MPI_Igatherv(count == 0 ? nullptr : mine.data() + offset, static_cast<int>(count),
                             MPI_BYTE, staging.bytes.data(), staging.counts.data(),
                             staging.starts.data(), MPI_BYTE, root, comm.get(), &request));
    wait_asleep(request);
    for (std::size_t r = 0; r < sizes.size(); ++r) {
      const auto whole = std::span<const std::byte>(staging.bytes);
      if (staging.counts[r] > 0)
        place(static_cast<int>(r), offset,
              whole.subspan(static_cast<std::size_t>(staging.starts[r]),
                            static_cast<std::size_t>(staging.counts[r])));
    }
  }
}

}  // namespace dlscale
