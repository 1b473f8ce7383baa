// SPDX-License-Identifier: BSD-3-Clause
// The watchdog's thread: listens, reports, judges. How a run ends is in watchdog_end.cpp.
#include <poll.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "comm/watchdog_impl.hpp"

namespace dlscale {
namespace {

using watchdog::Datagram;
using watchdog::Doing;
using watchdog::Kind;

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t report_period_ns = second_ns / 2;
constexpr double takeover_s = 2;   ///< rank 1 gives rank 0 so long to end the run
constexpr double forgotten_s = 4;  ///< the others give both deputies so long
constexpr std::int64_t stopped_ns =
    2 * second_ns;  ///< longer than any tick is late: the process did not run

}  // namespace

void Watchdog::Impl::loop() {
  const pollfd stop{stop_.get(), POLLIN, 0};
  for (;;) {
    wait_a_tick();
    pollfd asked = stop;
    if (poll(&asked, 1, 0) > 0) return;
    const std::int64_t now = now_ns(), gap_ns = now - woke_ns_ - tick_ns_;
    woke_ns_ = now;
    const bool was_stopped = gap_ns > stopped_ns;
    if (was_stopped) state_.forgive(gap_ns);
    listen(was_stopped);
    if (ending_) continue;  // the main thread is in fatal()
    greet(now);
    report(now);
    if (is_deputy())
      judge(now);
    else
      leave_if_forgotten(now);
  }
}

void Watchdog::Impl::wait_a_tick() const {
  std::array<pollfd, 2> events{pollfd{stop_.get(), POLLIN, 0}, pollfd{link_.fd(), POLLIN, 0}};
  // Errors (EINTR, ENOMEM) only make one tick shorter.
  (void)poll(events.data(), events.size(), static_cast<int>(tick_ns_ / 1'000'000));
}

void Watchdog::Impl::listen(bool after_a_gap) {
  sockaddr_in from{};
  while (const auto datagram = link_.receive(from)) {
    if (datagram->run != run_) continue;
    // What others reported before this process was stopped is no longer their state.
    if (after_a_gap && datagram->kind == Kind::report) continue;
    handle(*datagram, from);
  }
}

void Watchdog::Impl::handle(const Datagram& datagram, const sockaddr_in& from) {
  switch (datagram.kind) {
    case Kind::hello:
    case Kind::report:
      return note(datagram, from);
    case Kind::query:
      return tell_state();
    case Kind::hold:
      held_until_ns_ = now_ns() + 30 * second_ns;
      return;
    case Kind::leave:
      leave(datagram.exit_code, std::string(datagram.get_text()));
    case Kind::fatal:
      if (setup_.rank == 0) end_for(datagram.rank, std::string(datagram.get_text()));
      return;
  }
}

void Watchdog::Impl::note(const Datagram& datagram, const sockaddr_in& from) {
  if (datagram.rank < 0 || static_cast<std::size_t>(datagram.rank) >= words_.size()) return;
  const auto rank = static_cast<std::size_t>(datagram.rank);
  const std::scoped_lock lock(peers_mutex_);
  peers_[rank].address = from;
  if (datagram.kind == Kind::hello) return;
  peers_[rank].heard_ns = now_ns();
  words_[rank] = {
      .heard = true,
      .doing = datagram.doing == static_cast<int>(Doing::waiting) ? Doing::waiting : Doing::working,
      .stage = datagram.stage,
      .case_id = datagram.case_id,
      .elapsed_s = datagram.elapsed_s,
      .limit_s = datagram.limit_s,
      .age_s = 0,
      .what = std::string(datagram.get_text())};
}

void Watchdog::Impl::tell_state() const {
  const auto words = datagram(Kind::report);
  if (!stopped_meanwhile()) tell_deputies(words);
}

/// Stopped since this tick began: a wait that was read of the clock since holds the pause, which the
/// next tick forgives.
bool Watchdog::Impl::stopped_meanwhile() const {
  return now_ns() - woke_ns_ > stopped_ns;
}

/// Twice, as a datagram may be lost: the deputies learn where to ask.
void Watchdog::Impl::greet(std::int64_t now) {
  if (greetings_ == 2 || now < next_greeting_ns_) return;
  ++greetings_;
  next_greeting_ns_ = now + second_ns;
  tell_deputies(datagram(Kind::hello));
}

void Watchdog::Impl::report(std::int64_t now) {
  if (now < next_report_ns_ || !state_.worth_reporting()) return;
  next_report_ns_ = now + report_period_ns;
  tell_state();
}

void Watchdog::Impl::judge(std::int64_t now) {
  {
    const std::scoped_lock lock(peers_mutex_);
    for (std::size_t rank = 0; rank < words_.size(); ++rank)
      words_[rank].age_s = 1e-9 * static_cast<double>(now - peers_[rank].heard_ns);
  }
  words_[static_cast<std::size_t>(setup_.rank)] = state_.word();
  const double overdue_s = watchdog::most_overdue_s(words_);
  const double ask_before_s = std::min(2.0, setup_.patience_s / 4);
  if (overdue_s > -ask_before_s) query_the_silent(now);
  const bool expired = overdue_s > (setup_.rank == 0 ? 0 : takeover_s) && !held(now);
  if (expired && !stopped_meanwhile()) expire();
}

/// Ranks that work, or began to wait a moment ago, have not reported; what they do belongs into the
/// message.
void Watchdog::Impl::query_the_silent(std::int64_t now) {
  const auto question = datagram(Kind::query);
  const std::scoped_lock lock(peers_mutex_);
  for (std::size_t rank = 0; rank < peers_.size(); ++rank) {
    const bool self = static_cast<int>(rank) == setup_.rank;
    if (!self && now - peers_[rank].heard_ns > second_ns) link_.send(peers_[rank].address, question);
  }
}

void Watchdog::Impl::leave_if_forgotten(std::int64_t now) {
  const bool forgotten = state_.overdue_s() > forgotten_s && !held(now);
  if (forgotten && !stopped_meanwhile()) leave(static_cast<int>(ExitCode::watchdog), "");
}

Datagram Watchdog::Impl::datagram(Kind kind) const {
  const auto word = state_.word();
  Datagram result;
  result.run = run_;
  result.kind = kind;
  result.rank = setup_.rank;
  result.doing = static_cast<std::int32_t>(word.doing);
  result.case_id = word.case_id;
  result.stage = word.stage;
  result.elapsed_s = word.elapsed_s;
  result.limit_s = word.limit_s;
  result.set_text(word.what);
  return result;
}

void Watchdog::Impl::tell_deputies(const Datagram& words) const {
  for (int deputy = 0; deputy < 2; ++deputy)
    if (deputy != setup_.rank) link_.send(deputies_[static_cast<std::size_t>(deputy)], words);
}

}  // namespace dlscale
