// SPDX-License-Identifier: BSD-3-Clause
#include "summary/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace dlscale {
namespace {

constexpr std::int64_t terminal_every_ns = 100'000'000;
constexpr std::int64_t plain_every_ns = 10'000'000'000;

}  // namespace

Progress::Progress(bool quiet, double budget_s)
    : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1), budget_s_(budget_s), start_ns_(now_ns()) {
  winsize size{};
  if (terminal_ && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
    width_ = size.ws_col;
}

void Progress::show(const std::string& line) {
  if (quiet_) return;
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  const std::string cut = line.size() < width_ ? line : line.substr(0, width_ - 1);
  std::fprintf(stderr, "\r\033[K%s", cut.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::phase(const std::string& what) {
  show(what);
}

void Progress::batch(const Case& c, const CaseController& controller, int done, int total) {
  const std::int64_t now = now_ns();
  if (now - last_ns_ < (terminal_ ? terminal_every_ns : plain_every_ns)) return;
  last_ns_ = now;
  const Interval interval = controller.reported();
  const double elapsed = seconds_since(start_ns_);
  std::string state = controller.warm() ? fmt::format("block {}", controller.blocks_done()) : "warm-up";
  if (interval.valid)
    state += fmt::format(" {} ±{:.1f}%", format_seconds(interval.median),
                         100 * interval.relative_half_width());
  else if (interval.median > 0)
    state += fmt::format(" {}", format_seconds(interval.median));
  // What must not be cut off at the window's edge comes first.
  const std::string time = budget_s_ > 0 ? format_seconds(std::max(0.0, budget_s_ - elapsed)) + " left"
                                         : format_seconds(elapsed) + " so far";
  show(fmt::format("[{}/{}, {}] {}: {}", done, total, time, c.name(), state));
}

void Progress::note(const std::string& line) {
  if (quiet_) return;
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::warn(const std::string& line) {
  clear();
  std::fprintf(stderr, "dlscale: warning: %s\n", line.c_str());
}

void Progress::clear() {
  if (quiet_ || !terminal_ || !shown_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace dlscale
