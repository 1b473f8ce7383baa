// SPDX-License-Identifier: BSD-3-Clause
#include "ending.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

#include "base/error.hpp"
#include "comm/watchdog_exit.hpp"

namespace dlscale {
namespace {

void say(const std::string& text) {
  // One write, no stdio: the main thread may hold its locks.
  const std::string line = "dlscale: " + text + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace

void Ending::watch(RunFile* file) {
  const std::lock_guard lock(mutex_);
  file_ = file;
}

bool Ending::close(const Way& way, int failed_case, const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (file_ == nullptr) return false;
  const std::string& path = file_->path();
  watchdog::leave_at_the_latest_in(way.limit_s, way.exit_code,
                                   file_->not_closed("its file system does not answer"));
  std::string why_not;
  if (file_->close_from_other_thread(way.status, way.patience_s, failed_case, message, &why_not))
    say(fmt::format("{} closed ({}); go on with --resume {}", path, way.status, path));
  else
    say(why_not);
  return true;
}

void Ending::on_signal(int signal_number) {
  // Only the root has a file; and when one rank ends, the launcher signals all others, which have
  // nothing to add.
  const Way way{
      .status = "interrupted", .exit_code = 128 + signal_number, .patience_s = 0.4, .limit_s = 10};
  if (close(way, -1, "")) say(fmt::format("ended by signal {}", signal_number));
}

void Ending::on_expired(const std::string& sentence) {
  close({.exit_code = static_cast<int>(ExitCode::watchdog)}, case_.load(), sentence);
}

void Ending::on_fatal(int, const std::string& message) {
  close({.exit_code = static_cast<int>(ExitCode::case_failed)}, case_.load(), message);
}

}  // namespace dlscale
