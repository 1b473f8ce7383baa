// SPDX-License-Identifier: BSD-3-Clause
/// SIGTERM, SIGINT, SIGUSR1 and SIGHUP end the run from a thread of their own, without MPI, within half
/// a second.
#pragma once

#include <functional>
#include <memory>

namespace dlscale {

/// Installs the process's handlers; call first in main. Until a SignalThread exists the signals wait.
/// Handlers, not a mask: libraries start threads before main (OpenBLAS does), which no later mask
/// reaches, and a signal to the process may be taken by any thread that does not block it.
void catch_ending_signals();

/// Waits for them in a thread. `on_signal(n)` closes the file (root) and must be quick; then _exit(128 +
/// n). Calls catch_ending_signals() by itself. One at a time.
class SignalThread {
 public:
  explicit SignalThread(std::function<void(int)> on_signal);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dlscale
