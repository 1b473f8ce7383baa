// SPDX-License-Identifier: BSD-3-Clause
/// Leaving without stdio (the main thread may hold its locks) and without MPI.
#pragma once

#include <string>

namespace dlscale::watchdog {

/// "dlscale: <line>\n" to stderr in one write.
void print_line(const std::string& line) noexcept;

/// Should closing the file hang (a dead file server), the process leaves all the same, saying `line`
/// where there is one.
void leave_at_the_latest_in(double seconds, int exit_code, const std::string& line = {});

void sleep_s(double seconds) noexcept;

/// "rank 3 (host n7)" for the calling process.
std::string rank_on_this_host(int rank);

}  // namespace dlscale::watchdog
