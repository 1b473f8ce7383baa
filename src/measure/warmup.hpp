// SPDX-License-Identifier: BSD-3-Clause
/// Is a case warm? A pure function of its warm-up samples.
#pragma once

#include <span>

namespace dlscale {

/// Fewest samples on which steadiness can be judged.
constexpr std::size_t warmup_window = 6;

/// True when the medians of the two halves of the last `warmup_window` samples differ by no more than
/// `tolerance` (relative), or when the halves overlap and their medians differ by no more than their own
/// noise (three standard errors, from the MAD). False if any is NaN.
bool is_steady(std::span<const double> seconds, double tolerance);

}  // namespace dlscale
