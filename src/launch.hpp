// SPDX-License-Identifier: BSD-3-Clause
/// One launch, stage by stage: what main() tells.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "ending.hpp"

namespace dlscale {

/// --help, --version, --list, --dump-default, --plan, --recover: done on one process without MPI.
/// Returns the exit code, or −1 when there is a run to be made.
int answer_without_running(const CommandLine& line);

/// The run itself, on all ranks. Returns the exit code, the same on all ranks.
int run_job(const CommandLine& line, Ending& ending);

/// Job files: share/dlscale/jobs beside an installed binary, ../jobs beside build/dlscale, else the
/// source's.
std::string find_jobs_dir();

/// The sentence on stderr, from one process only (the launcher's rank 0), before MPI is there to ask.
void complain(const std::string& sentence);

}  // namespace dlscale
