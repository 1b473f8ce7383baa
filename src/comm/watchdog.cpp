// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "comm/watchdog_exit.hpp"
#include "comm/watchdog_impl.hpp"

namespace dlscale {
namespace {

std::uint64_t random_mark() {
  std::uint64_t mark = 0;
  // Up to 256 bytes come whole (getrandom(2)); without them the clock and the process still tell runs
  // apart.
  if (getrandom(&mark, sizeof mark, 0) != static_cast<ssize_t>(sizeof mark))
    mark = static_cast<std::uint64_t>(now_ns()) ^ (static_cast<std::uint64_t>(getpid()) << 40);
  return mark;
}

/// Signals belong to the main thread and to SignalThread: a thread started here inherits a full mask.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    active_ = pthread_sigmask(SIG_SETMASK, &all, &before_) == 0;
  }
  ~SignalsBlocked() {
    if (active_) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
  bool active_ = false;
};

}  // namespace

Watchdog::Impl::Impl(Setup setup)
    : setup_(std::move(setup)),
      // With a minute's patience two looks per second do, and disturb a measurement the less.
      tick_ns_(setup_.patience_s < 20 ? 100'000'000 : 500'000'000),
      state_(setup_.patience_s),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_)
    throw Error(ExitCode::refused, "the watchdog can't be stopped", std::strerror(errno),
                "raise ulimit -n");
  address_.port_be = link_.port_be();
  address_.run = random_mark();
  if (!is_deputy()) return;
  address_.ipv4_be = watchdog::advertised_ipv4(setup_.hosts);
  peers_.resize(static_cast<std::size_t>(setup_.size));
  words_.resize(static_cast<std::size_t>(setup_.size));
}

Watchdog::Impl::~Impl() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  // Can't fail on an eventfd of value 0 (eventfd(2)).
  (void)!write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Watchdog::Impl::start(WatchdogAddress rank0, WatchdogAddress rank1) {
  if (setup_.size < 2 || thread_.joinable()) return;
  deputies_ = {watchdog::socket_address(rank0), watchdog::socket_address(rank1)};
  run_ = rank0.run;
  for (std::size_t deputy = 0; deputy < 2 && is_deputy(); ++deputy)
    peers_[deputy].address = deputies_[deputy];
  // Spread over a second, so that thousands of greetings don't meet in one queue.
  next_greeting_ns_ = now_ns() + (std::int64_t{setup_.rank} * 37 % 1000) * 1'000'000;
  state_.restart();
  woke_ns_ = now_ns();  // here, not in the thread: the job may be suspended before that runs
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { loop(); });
}

void Watchdog::Impl::fatal(const std::string& message) {
  const auto name = setup_.hosts.empty() ? watchdog::rank_on_this_host(setup_.rank)
                                         : watchdog::rank_name(setup_.rank, setup_.hosts);
  watchdog::print_line(fmt::format("{}: {}", name, message));
  if (setup_.rank == 0) {
    end_for(0, message);
    watchdog::sleep_s(40);  // the watchdog's thread is ending the run already
    _exit(static_cast<int>(ExitCode::case_failed));
  }
  ending_ = true;
  const std::int64_t start_ns = now_ns();
  auto words = datagram(watchdog::Kind::fatal);
  words.set_text(message);
  for (int copy = 0; copy < 3 && thread_.joinable(); ++copy) {
    link_.send(deputies_[0], words);
    watchdog::sleep_s(0.02);
  }
  while (seconds_since(start_ns) < 2 || held(now_ns())) watchdog::sleep_s(0.01);
  _exit(static_cast<int>(ExitCode::case_failed));
}

Watchdog::Watchdog(Setup setup) : impl_(std::make_unique<Impl>(std::move(setup))) {}

Watchdog::~Watchdog() = default;

WatchdogAddress Watchdog::address() const {
  return impl_->address();
}

void Watchdog::start(WatchdogAddress rank0, WatchdogAddress rank1) {
  impl_->start(rank0, rank1);
}

void Watchdog::waiting(std::uint64_t stage, double expected_s, const char* what) {
  impl_->state().set(watchdog::Doing::waiting, stage, -1, expected_s, what);
}

void Watchdog::working(const char* what, int case_id, double expected_s) {
  impl_->state().set(watchdog::Doing::working, 0, case_id, expected_s, what);
}

void Watchdog::fatal(const std::string& message) {
  impl_->fatal(message);
}

}  // namespace dlscale
