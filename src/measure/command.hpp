// SPDX-License-Identifier: BSD-3-Clause
/// What the root tells all ranks to do next. Every rank executes the same commands in the same order
/// (docs/decisions/0003).
#pragma once

#include <cstdint>

#include "measure/samples.hpp"

namespace dlscale {

enum class Action : std::int32_t { prepare, batch, verify, release, clocks, end };

/// Trivially copyable: one broadcast.
struct Command {
  Action action = Action::end;
  std::int32_t case_id = -1;
  Batch batch;
  std::int32_t exit_code = 0;  ///< with Action::end
};

}  // namespace dlscale
