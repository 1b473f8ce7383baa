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

  /// SIGTERM, SIGINT, SIGUSR1: status "interrupted". Returns within half a second.
  void on_signal(int signal_number);
  /// The watchdog's patience is over: status "failed".
  void on_expired(const std::string& sentence);
  /// A rank failed inside run(): its case is failed, status "failed".
  void on_fatal(int rank, const std::string& message);

 private:
  /// False when there is no file.
  bool close(const char* status, double patience_s, int failed_case, const std::string& message);
  std::mutex mutex_;
  RunFile* file_ = nullptr;
  std::atomic<int> case_{-1};
};

}  // namespace dlscale
