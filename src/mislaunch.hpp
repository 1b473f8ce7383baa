// SPDX-License-Identifier: BSD-3-Clause
/// Refuse to benchmark nonsense: launches that would give numbers of something else (design:
/// mis-launch).
#pragma once

#include <string>
#include <vector>

#include "places.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// Tasks that a launcher's variables announce, with the variable's name; 0 when there is no launcher.
struct LauncherTasks {
  int tasks = 0;
  int rank = 0;  ///< this process's index among them
  std::string variable;
  bool pmi_missing =
      false;  ///< srun without a PMI that the MPI library understands: MPI_Init would abort
};
LauncherTasks launcher_tasks();

/// Before MPI_Init: srun started N tasks, but without PMIx Open MPI can't connect them (it aborts).
/// Throws Error(refused) unless allowed.
void refuse_singletons_before_init(const std::vector<std::string>& allow);

struct LaunchVerdict {
  std::string refused;                ///< sentence; empty if the launch is accepted
  std::vector<std::string> warnings;  ///< recorded and repeated in the summary
  bool oversubscribed = false;
};
/// Pure, but for the launcher's variables given as `tasks`.
LaunchVerdict judge_launch(const std::vector<RankFacts>& ranks, const Plan& plan,
                           const LauncherTasks& tasks, const std::vector<std::string>& allow);

}  // namespace dlscale
