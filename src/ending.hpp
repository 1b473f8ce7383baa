// SPDX-License-Identifier: BSD-3-Clause
/// The ways a run ends from outside its main thread: signals, the watchdog, another rank's failure. No
/// MPI here.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "record/run_file.hpp"

namespace dlscale {

class Ending {
 public:
  /// From here on the file is closed when the run ends early; nullptr: nothing to close. Root only.
  void watch(RunFile* file);
  void current_case(int case_id) { case_.store(case_id); }

  /// A signal: status "interrupted". Returns within half a second where the file system answers; where
  /// it does not, the process ends after ten.
  void on_signal(int signal_number);
  /// The watchdog's patience is over: status "failed".
  void on_expired(const std::string& sentence);
  /// A rank failed inside run(): its case is failed, status "failed".
  void on_fatal(int rank, const std::string& message);

 private:
  struct Way {
    const char* status = "failed";
    int exit_code = 1;
    double patience_s = 2;  ///< for another thread that is writing
    double limit_s = 20;    ///< of closing itself, after which the process ends all the same
  };
  /// False when there is no file.
  bool close(const Way& way, int failed_case, const std::string& message);
  std::mutex mutex_;
  RunFile* file_ = nullptr;
  std::atomic<int> case_{-1};
};

}  // namespace dlscale
