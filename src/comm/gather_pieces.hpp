// SPDX-License-Identifier: BSD-3-Clause
/// Byte strings of different length from all ranks to one, in rounds: no message and no offset outgrows
/// an int.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "comm/communicator.hpp"

namespace dlscale {

/// Called at the root only, in ascending order of `offset` for each rank.
using PlacePiece = std::function<void(int rank, std::size_t offset, std::span<const std::byte> piece)>;

/// At most `piece_bytes` per rank and round, less where the root's staging memory (256 MiB) asks for it.
/// @note Collective over comm. Sleeps while it waits.
void gather_pieces(const Communicator& comm, std::span<const std::byte> mine, std::size_t piece_bytes,
                   int root, const PlacePiece& place);

}  // namespace dlscale
