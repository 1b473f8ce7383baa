// SPDX-License-Identifier: BSD-3-Clause
#include "base/exit_codes.hpp"

#include <array>

namespace dlscale {
namespace {

constexpr std::array<ExitCodeText, 8> codes = {{{"0", "success"},
                                                {"1", "a case or its check failed"},
                                                {"2", "bad command line or job"},
                                                {"3", "a required performance was missed"},
                                                {"4", "mis-launch or device refused"},
                                                {"5", "output can't be written"},
                                                {"6", "a rank did not arrive"},
                                                {"128+n", "ended by signal n"}}};

}  // namespace

std::span<const ExitCodeText> exit_codes() {
  return codes;
}

}  // namespace dlscale
