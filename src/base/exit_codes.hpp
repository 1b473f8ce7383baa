// SPDX-License-Identifier: BSD-3-Clause
/// ExitCode (base/error.hpp) in words.
#pragma once

#include <span>
#include <string_view>

namespace dlscale {

/// An exit code as --help and the manual page tell it.
struct ExitCodeText {
  std::string_view code, meaning;
};

/// All of them by number, 128+n last.
std::span<const ExitCodeText> exit_codes();

}  // namespace dlscale
