// SPDX-License-Identifier: BSD-3-Clause
#include "ending.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "comm/watchdog_exit.hpp"

namespace dlscale {

using watchdog::print_line;

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
    print_line(fmt::format("{} closed ({}); go on with --resume {}", path, way.status, path));
  else
    print_line(why_not);
  return true;
}

void Ending::on_signal(int signal_number) {
  // Only the root has a file; and when one rank ends, the launcher signals all others, which have
  // nothing to add.
  const Way way{
      .status = "interrupted", .exit_code = 128 + signal_number, .patience_s = 0.4, .limit_s = 10};
  if (close(way, -1, "")) print_line(fmt::format("ended by signal {}", signal_number));
}

void Ending::on_expired(const std::string& sentence) {
  close({.exit_code = static_cast<int>(ExitCode::watchdog)}, case_.load(), sentence);
}

void Ending::on_fatal(int, const std::string& message) {
  close({.exit_code = static_cast<int>(ExitCode::case_failed)}, case_.load(), message);
}

}  // namespace dlscale
