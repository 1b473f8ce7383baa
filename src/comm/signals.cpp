// SPDX-License-Identifier: BSD-3-Clause
#include "comm/signals.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
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

sigset_t ending_signals() {
  sigset_t set;
  // These three can't fail for valid signal numbers.
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

void block_ending_signals() {
  const sigset_t set = ending_signals();
  if (const int code = pthread_sigmask(SIG_BLOCK, &set, nullptr); code != 0)
    throw Error(ExitCode::refused, "signals can't be blocked", std::strerror(code), "");
}

struct SignalThread::Impl {
  std::function<void(int)> on_signal;
  FileDescriptor signals, stop;
  std::thread thread;

  void watch() {
    std::array<pollfd, 2> events{pollfd{signals.get(), POLLIN, 0}, pollfd{stop.get(), POLLIN, 0}};
    for (;;) {
      if (poll(events.data(), events.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return;  // out of memory (poll(2)): the run goes on, deaf to these signals
      }
      if (events[1].revents != 0) return;
      signalfd_siginfo info{};
      if (read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
        end(static_cast<int>(info.ssi_signo));
    }
  }

  /// Further signals are left pending meanwhile: launchers like to send SIGTERM twice.
  [[noreturn]] void end(int number) {
    try {
      on_signal(number);
    } catch (...) {  // the file could not be closed; it keeps every finished block all the same
    }
    _exit(128 + number);
  }
};

SignalThread::SignalThread(std::function<void(int)> on_signal) : impl_(std::make_unique<Impl>()) {
  block_ending_signals();
  const sigset_t set = ending_signals();
  impl_->on_signal = std::move(on_signal);
  impl_->signals = FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  impl_->stop = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  if (!impl_->signals || !impl_->stop)
    throw Error(ExitCode::refused, "signals can't be watched", std::strerror(errno),
                "raise the limit of open files (ulimit -n)");
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
