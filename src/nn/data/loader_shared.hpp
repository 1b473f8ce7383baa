// SPDX-License-Identifier: BSD-3-Clause
/// What the loaders share.
#pragma once

#include "nn/data/loader.hpp"

namespace dlscale::nn {

/// Distinct batches of a random loader.
inline constexpr std::int64_t random_batches = 4;

/// Throws Error(bad_input) with the first thing that can't be.
void check_loader_options(const LoaderOptions& options);

/// One shard's part of an epoch of `count` images.
struct EpochSize {
  std::int64_t batches = 0, images = 0;
  /// Throws Error(bad_input) if nothing is left.
  EpochSize(std::int64_t count, const LoaderOptions& options);
  /// Images in batch `number`.
  int of_batch(std::int64_t number, int batch) const;
};

}  // namespace dlscale::nn
