// SPDX-License-Identifier: BSD-3-Clause
// Main of the one-process tests, the same for Catch2 2.13 and 3.
#define CATCH_CONFIG_RUNNER
#include "dlscale_catch.hpp"

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int code = session.applyCommandLine(argc, argv); code != 0) return code;
  // Catch2 ≥ 3.9 shuffles by default; failures must be reproducible.
  session.configData().runOrder = decltype(session.configData().runOrder){};
  const int failed = session.run();
  return failed == 0 ? 0 : 1;
}
