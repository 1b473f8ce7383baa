// SPDX-License-Identifier: BSD-3-Clause
/// Catch2's runner, compiled once for all test programs: it takes longer than any test file.
#pragma once

namespace dlscale {

/// Runs the tests of this program as the command line says, in declaration order; 0 when all passed.
/// `plain`: no colours.
int run_catch(int argc, char** argv, bool plain);

}  // namespace dlscale
