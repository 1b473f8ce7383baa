// SPDX-License-Identifier: BSD-3-Clause
/// SIGTERM, SIGINT and SIGUSR1 end the run from a thread of their own, without MPI, within half a
/// second.
#pragma once

#include <functional>
#include <memory>

namespace dlscale {

/// Blocks the signals in the calling thread; call first in main, so that every later thread inherits it.
void block_ending_signals();

/// Waits for them in a thread. `on_signal(n)` closes the file (root) and must be quick; then _exit(128 +
/// n).
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
