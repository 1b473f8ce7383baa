// SPDX-License-Identifier: BSD-3-Clause
/// A watchdog that uses no MPI: it names the ranks that did not arrive, and carries a fatal message to
/// the root.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dlscale {

/// A UDP address other ranks can reach ("10.0.0.1:45678").
struct WatchdogAddress {
  std::uint32_t ipv4_be =
      0;  ///< network byte order; 0: this host has no IPv4 address (nothing is sent then)
  std::uint16_t port_be = 0;
  std::uint64_t run = 0;  ///< random; rank 0's marks every datagram of the run, strangers' are dropped
};

/// One thread per rank. The main thread says what it waits for or works at; ranks that take longer than
/// they should report it by UDP to two deputies (ranks 0 and 1). Beyond one greeting nothing is sent
/// while all goes well. A state may last expected_s + patience; reports begin at expected_s + patience /
/// 2, and shortly before the end the deputies ask every rank that did not report. When the first rank's
/// time is over:
///  - rank 0 names the ranks that did not arrive, with what they last said, in one line on stderr, calls
///    on_expired(sentence) and leaves with _exit(6); the others wait for that (at most 30 s) and leave
///    with 6 too;
///  - rank 1 does the same, without on_expired, 2 s later when rank 0 gives no sign;
///  - every other rank leaves by itself with _exit(6) 4 s later when neither gives a sign.
/// Time in which the process did not run at all (a suspended job) does not count. With one rank there is
/// nobody to wait for: no thread, no expiry. Stdio is not flushed on the way out: the main thread may
/// hold its locks.
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

  /// From here the main thread waits for the others, stage number `stage` (same order on all ranks); it
  /// should not take longer than expected_s + patience (expected_s may be infinite). Cheap: an
  /// uncontended lock and a short copy (`what` is copied, 120 bytes at most).
  void waiting(std::uint64_t stage, double expected_s, const char* what);
  /// From here it works ("running case 7"), which may take expected_s + patience: a rank lost inside a
  /// collective run() leaves all others in this state.
  void working(const char* what, int case_id, double expected_s);

  /// This rank failed inside run(): prints the message, tells the root (three datagrams), waits up to 2
  /// s (30 s once the root answered) for it to end the run, then _exit(1). On rank 0 it calls on_fatal
  /// directly.
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
