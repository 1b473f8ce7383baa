// SPDX-License-Identifier: BSD-3-Clause
/// One dimension of a block-cyclic distribution: blocks dealt out like cards, block b to part b mod
/// parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace dlscale {

/// What part `part` of `parts` holds of `count` indices in blocks of `block`.
struct Dealt {
  std::int64_t count = 0, block = 1;
  int parts = 1, part = 0;

  /// How many indices this part holds: whole rounds, and its share of the last one.
  std::int64_t local() const {
    const std::int64_t round = block * parts;
    const std::int64_t rest = count % round - block * part;
    return count / round * block + std::clamp(rest, std::int64_t{0}, block);
  }
  /// Global index of a local one.
  std::int64_t global(std::int64_t index) const {
    return (index / block * parts + part) * block + index % block;
  }
  /// All of them, ascending.
  std::vector<std::int64_t> globals() const {
    std::vector<std::int64_t> list(static_cast<std::size_t>(local()));
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = global(static_cast<std::int64_t>(i));
    return list;
  }
};

}  // namespace dlscale
