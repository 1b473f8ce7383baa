// SPDX-License-Identifier: BSD-3-Clause
/// Runs a piece of a test in a child process, for what ends in _exit.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "base/clock.hpp"
#include "comm/file_descriptor.hpp"

namespace dlscale::test {

/// A child with its stderr caught. Killed at the end if it is still there.
class Child {
 public:
  explicit Child(const std::function<void()>& body) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    stderr_ = FileDescriptor(ends[0]);
    FileDescriptor write_end(ends[1]);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) return;
    if (dup2(write_end.get(), STDERR_FILENO) < 0) _exit(98);
    try {
      body();
    } catch (...) {
      _exit(97);
    }
    _exit(0);
  }
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), stderr_(std::move(other.stderr_)) {}
  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }

  /// Exit code; 128 + n when signal n ended it; −1 when it still runs after `limit_s`.
  int wait_for_end(double limit_s) {
    const auto start = now_ns();
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (seconds_since(start) > limit_s) return -1;
      usleep(5000);
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// What it wrote to stderr; call after its end.
  std::string stderr_text() {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(stderr_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    return text;
  }

 private:
  pid_t pid_ = -1;
  FileDescriptor stderr_;
};

}  // namespace dlscale::test
