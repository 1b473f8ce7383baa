// SPDX-License-Identifier: BSD-3-Clause
/// What tests of refusals share.
#pragma once

#include <string>

#include "base/error.hpp"

namespace dlscale {

/// The sentence of the Error(bad_input) that `act` throws; "" if it throws none; "exit code n" for
/// another code.
template <class Act>
std::string message_of(const Act& act) {
  try {
    act();
  } catch (const Error& e) {
    if (e.exit_code() == ExitCode::bad_input) return e.what();
    return "exit code " + std::to_string(static_cast<int>(e.exit_code()));
  }
  return {};
}

}  // namespace dlscale
