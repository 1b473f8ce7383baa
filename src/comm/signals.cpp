// SPDX-License-Identifier: BSD-3-Clause
#include "comm/signals.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "comm/file_descriptor.hpp"

namespace dlscale {
namespace {

/// The handlers' pipe: a byte per signal, its number. Made once, never closed: a handler may run at any
/// time.
int pipe_ends[2] = {-1, -1};

void write_number(int number) {
  const int kept = errno;
  const auto byte = static_cast<unsigned char>(number);
  // A full pipe holds thousands of signals that wait already.
  if (write(pipe_ends[1], &byte, 1) < 0) errno = kept;
  errno = kept;
}

[[noreturn]] void refuse(const char* why) {
  throw Error(ExitCode::refused, "signals can't be watched", why,
              "raise the limit of open files (ulimit -n)");
}

}  // namespace

void catch_ending_signals() {
  if (pipe_ends[0] < 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) refuse(std::strerror(errno));
  struct sigaction action {};
  action.sa_handler = write_number;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) {
    struct sigaction before {};
    if (sigaction(number, nullptr, &before) != 0) refuse(std::strerror(errno));
    if (number == SIGHUP && before.sa_handler == SIG_IGN) continue;  // nohup(1)
    if (sigaction(number, &action, nullptr) != 0) refuse(std::strerror(errno));
  }
  // What they stand for is told by the failed call as well: a file that reached its size limit (ulimit
  // -f), a terminal or pipe that is gone.
  for (const int number : {SIGXFSZ, SIGPIPE})
    if (signal(number, SIG_IGN) == SIG_ERR) refuse(std::strerror(errno));
}

struct SignalThread::Impl {
  std::function<void(int)> on_signal;
  FileDescriptor stop;
  std::thread thread;

  void watch() {
    std::array<pollfd, 2> events{pollfd{pipe_ends[0], POLLIN, 0}, pollfd{stop.get(), POLLIN, 0}};
    for (;;) {
      if (poll(events.data(), events.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return;  // out of memory (poll(2)): the run goes on, deaf to these signals
      }
      if (events[1].revents != 0) return;
      unsigned char number = 0;
      if (read(pipe_ends[0], &number, 1) == 1) end(number);
    }
  }

  /// Further signals wait in the pipe meanwhile: launchers like to send SIGTERM twice.
  [[noreturn]] void end(int number) {
    try {
      on_signal(number);
    } catch (...) {  // the file could not be closed; it keeps every finished block all the same
    }
    _exit(128 + number);
  }
};

SignalThread::SignalThread(std::function<void(int)> on_signal) : impl_(std::make_unique<Impl>()) {
  catch_ending_signals();
  impl_->on_signal = std::move(on_signal);
  impl_->stop = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  if (!impl_->stop) refuse(std::strerror(errno));
  impl_->thread = std::thread([impl = impl_.get()] { impl->watch(); });
}

SignalThread::~SignalThread() {
  const std::uint64_t one = 1;
  // Can't fail on an eventfd of value 0 (eventfd(2)); were it to, joining would wait for ever.
  if (write(impl_->stop.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one)) {
    impl_->thread.join();
  } else {
    impl_->thread.detach();
    [[maybe_unused]] auto* kept = impl_.release();  // the thread still uses it
  }
}

}  // namespace dlscale
