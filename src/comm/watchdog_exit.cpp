// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_exit.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <system_error>
#include <thread>

namespace dlscale::watchdog {

void print_line(const std::string& line) noexcept {
  const auto text = "dlscale: " + line + "\n";
  // Nobody is left to be told if stderr is gone.
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

void leave_at_the_latest_in(double seconds, int exit_code, const std::string& line) {
  try {
    std::thread([seconds, exit_code, line] {
      sleep_s(seconds);
      if (!line.empty()) {
        leave_at_the_latest_in(1, exit_code);  // nobody may be reading stderr
        print_line(line);
      }
      _exit(exit_code);
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had: go on without this net
  }
}

void sleep_s(double seconds) noexcept {
  const auto whole = static_cast<time_t>(seconds);
  timespec rest{.tv_sec = whole,
                .tv_nsec = static_cast<long>(1e9 * (seconds - static_cast<double>(whole)))};
  while (nanosleep(&rest, &rest) != 0) {  // only a signal can cut it short (nanosleep(2))
  }
}

std::string rank_on_this_host(int rank) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return fmt::format("rank {}", rank);
  return fmt::format("rank {} (host {})", rank, host.data());
}

}  // namespace dlscale::watchdog
