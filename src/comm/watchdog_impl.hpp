// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <netinet/in.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "comm/watchdog.hpp"
#include "comm/watchdog_link.hpp"
#include "comm/watchdog_state.hpp"

namespace dlscale {

struct Watchdog::Impl {
  explicit Impl(Setup setup);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  WatchdogAddress address() const { return address_; }
  void start(WatchdogAddress rank0, WatchdogAddress rank1);
  watchdog::MainState& state() { return state_; }
  [[noreturn]] void fatal(const std::string& message);

 private:
  /// What a deputy knows of a rank.
  struct Peer {
    sockaddr_in address{};
    std::int64_t heard_ns = 0;
  };

  bool is_deputy() const { return setup_.rank < 2; }
  void loop();
  void wait_a_tick() const;
  void listen(bool after_a_gap);
  void handle(const watchdog::Datagram& datagram, const sockaddr_in& from);
  void note(const watchdog::Datagram& datagram, const sockaddr_in& from);
  void greet(std::int64_t now);
  void report(std::int64_t now);
  void judge(std::int64_t now);
  void query_the_silent(std::int64_t now);
  void leave_if_forgotten(std::int64_t now);
  bool held(std::int64_t now) const { return now < held_until_ns_.load(); }

  watchdog::Datagram datagram(watchdog::Kind kind) const;
  void tell_state() const;
  bool stopped_meanwhile() const;
  void tell_deputies(const watchdog::Datagram& words) const;
  void tell_all(watchdog::Kind kind, int exit_code, const std::string& text);
  void expire();
  /// Root: ends the run for a rank that failed. Returns only if the run is ending already.
  void end_for(int rank, const std::string& message);
  [[noreturn]] void leave(int exit_code, const std::string& text);

  Setup setup_;
  watchdog::Link link_;
  WatchdogAddress address_;
  std::array<sockaddr_in, 2> deputies_{};
  std::uint64_t run_ = 0;
  std::int64_t tick_ns_;
  watchdog::MainState state_;

  std::mutex peers_mutex_;             ///< the thread and a main thread in fatal()
  std::vector<Peer> peers_;            ///< [rank], deputies only
  std::vector<watchdog::Word> words_;  ///< [rank], deputies only; touched by the thread alone

  int greetings_ = 0;
  std::int64_t next_greeting_ns_ = 0, next_report_ns_ = 0;
  std::int64_t woke_ns_ = 0;  ///< when the thread's current tick began
  std::atomic<bool> ending_{false};
  std::atomic<std::int64_t> held_until_ns_{0};
  FileDescriptor stop_;
  std::thread thread_;
};

}  // namespace dlscale
