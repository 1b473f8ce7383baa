// SPDX-License-Identifier: BSD-3-Clause
/// One rank's samples of a batch as bytes of a length that all ranks know, for the gather. Internal to
/// measure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "measure/sampler.hpp"

namespace dlscale {

constexpr std::size_t failure_bytes = 240;  ///< of the message of a run() that threw

std::vector<std::byte> pack(const OwnSamples& own);

/// Rows of all world ranks, one after the other → `out`, whose columns are the world ranks `columns`.
void unpack(std::span<const std::byte> all, const std::vector<int>& columns, const Widths& widths,
            BatchSamples& out);

}  // namespace dlscale
