// SPDX-License-Identifier: BSD-3-Clause
#include "ending.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

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

bool Ending::close(const char* status, double patience_s, int failed_case, const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (file_ == nullptr) return false;
  if (file_->close_from_other_thread(status, patience_s, failed_case, message))
    say(fmt::format("{} closed ({}); go on with --resume {}", file_->path(), status, file_->path()));
  else
    say(fmt::format("{} not closed (it is being written); its finished blocks are kept: --resume {}",
                    file_->path(), file_->path()));
  return true;
}

void Ending::on_signal(int signal_number) {
  // Only the root has a file; and when one rank ends, the launcher signals all others, which have
  // nothing to add.
  if (close("interrupted", 0.4, -1, "")) say(fmt::format("ended by signal {}", signal_number));
}

void Ending::on_expired(const std::string& sentence) {
  close("failed", 2.0, case_.load(), sentence);
}

void Ending::on_fatal(int, const std::string& message) {
  close("failed", 2.0, case_.load(), message);
}

}  // namespace dlscale
