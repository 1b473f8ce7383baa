// SPDX-License-Identifier: BSD-3-Clause
// The same for Catch2 2.13 and 3.
#define CATCH_CONFIG_RUNNER
#include "run_catch.hpp"

#include "dlscale_catch.hpp"

int dlscale::run_catch(int argc, char** argv, bool plain) {
  Catch::Session session;
  if (const int code = session.applyCommandLine(argc, argv); code != 0) return code;
  // Catch2 ≥ 3.9 shuffles by default; failures must be reproducible, and ranks in the same test.
  session.configData().runOrder = decltype(session.configData().runOrder){};
#if DLSCALE_CATCH_MAJOR >= 3
  if (plain) session.configData().defaultColourMode = Catch::ColourMode::None;
#else
  if (plain) session.configData().useColour = Catch::UseColour::No;
#endif
  return session.run();
}
