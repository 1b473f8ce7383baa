// SPDX-License-Identifier: BSD-3-Clause
/// A watchdog that uses no MPI: it names the ranks that did not arrive, and carries a fatal message to the root.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dlscale {

/// A UDP address other ranks can reach ("10.0.0.1:45678").
struct WatchdogAddress {
  std::uint32_t ipv4_be = 0;  ///< network byte order
  std::uint16_t port_be = 0;
};

/// One thread per rank. The main thread says what it waits for; ranks that wait longer than they should report it by
/// UDP to two deputies (ranks 0 and 1). Nothing is sent while all goes well. When patience ends:
///  - rank 0 (or rank 1 when rank 0 does not answer) names the ranks that did not report the same wait, with what the
///    others last said, calls on_expired(sentence) and leaves with _exit(6);
///  - every other rank leaves with _exit(6) two seconds later.
class Watchdog {
 public:
  struct Setup {
    int rank = 0, size = 1;
    double patience_s = 60;
    /// Host of every rank, for the message; may be empty on ranks other than 0 and 1.
    std::vector<std::string> hosts;
    /// Root only: close the file without MPI. Called from the watchdog's thread, before _exit(6).
    std::function<void(const std::string& sentence)> on_expired;
    /// Root only: another rank failed inside run(). Called from the watchdog's thread, before _exit(1).
    std::function<void(int rank, const std::string& message)> on_fatal;
  };

  explicit Watchdog(Setup setup);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// This rank's address (meaningful on ranks 0 and 1), to be exchanged by the caller over MPI.
  WatchdogAddress address() const;
  /// Starts the thread, once the addresses of ranks 0 and 1 are known everywhere.
  void start(WatchdogAddress rank0, WatchdogAddress rank1);

  /// From here the main thread waits for the others, stage number `stage` (same order on all ranks); it should not take
  /// longer than expected_s + patience. Cheap: two atomic stores.
  void waiting(std::uint64_t stage, double expected_s, const char* what);
  /// From here it works ("running case 7"), which may take expected_s + patience while others wait.
  void working(const char* what, int case_id, double expected_s);

  /// This rank failed inside run(): tells the root (three datagrams), prints the message, waits up to 2 s for the root to
  /// end the run, then _exit(1). On rank 0 it calls on_fatal directly.
  [[noreturn]] void fatal(const std::string& message);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Scope of a wait: waiting() at the start, working("…") at the end.
class WaitScope {
 public:
  WaitScope(Watchdog& dog, std::uint64_t stage, double expected_s, const char* what) : dog_(dog) {
    dog_.waiting(stage, expected_s, what);
  }
  ~WaitScope() { dog_.working("between stages", -1, 0); }
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  Watchdog& dog_;
};

}  // namespace dlscale
