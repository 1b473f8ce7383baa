// SPDX-License-Identifier: BSD-3-Clause
// How a run ends early: the root closes its file, everybody leaves with the same code.
#include <fmt/format.h>
#include <unistd.h>

#include "base/error.hpp"
#include "comm/watchdog_exit.hpp"
#include "comm/watchdog_impl.hpp"

namespace dlscale {
namespace {

constexpr int expired_code = static_cast<int>(ExitCode::watchdog);
constexpr int fatal_code = static_cast<int>(ExitCode::case_failed);
constexpr double closing_s = 25;  ///< shorter than the 30 s for which the others hold

/// The callbacks close a file; what they throw must not keep the run from ending.
template <class Callback, class... Arguments>
void call(const Callback& callback, const Arguments&... arguments) noexcept {
  try {
    if (callback) callback(arguments...);
  } catch (const std::exception& error) {
    watchdog::print_line(error.what());
  } catch (...) {
    watchdog::print_line(
        "closing the output failed (unknown exception); the file keeps every finished block");
  }
}

}  // namespace

void Watchdog::Impl::tell_all(watchdog::Kind kind, int exit_code, const std::string& text) {
  auto words = datagram(kind);
  words.exit_code = exit_code;
  words.set_text(text);
  const std::scoped_lock lock(peers_mutex_);
  for (std::size_t rank = 0; rank < peers_.size(); ++rank)
    if (static_cast<int>(rank) != setup_.rank) link_.send(peers_[rank].address, words);
}

void Watchdog::Impl::expire() {
  if (ending_.exchange(true)) return;
  tell_all(watchdog::Kind::hold, expired_code, "");
  const auto text = watchdog::absence_sentence(watchdog::find_absence(words_), words_, setup_.hosts);
  watchdog::leave_at_the_latest_in(closing_s, expired_code);  // before printing: nobody may be reading
  watchdog::print_line(text);
  if (setup_.rank == 0) call(setup_.on_expired, text);
  tell_all(watchdog::Kind::leave, expired_code, text);
  _exit(expired_code);
}

void Watchdog::Impl::end_for(int rank, const std::string& message) {
  if (ending_.exchange(true)) return;
  if (run_ != 0) tell_all(watchdog::Kind::hold, fatal_code, "");
  watchdog::leave_at_the_latest_in(closing_s, fatal_code);
  call(setup_.on_fatal, rank, message);
  if (run_ != 0) tell_all(watchdog::Kind::leave, fatal_code, message);
  _exit(fatal_code);
}

/// A deputy ended the run. Rank 0 gets here when rank 1 took over (rank 0 was stopped and goes on): it
/// closes its file.
void Watchdog::Impl::leave(int exit_code, const std::string& text) {
  if (setup_.rank == 0 && !ending_.exchange(true)) {
    watchdog::leave_at_the_latest_in(closing_s, exit_code);
    call(setup_.on_expired, text);
  }
  _exit(exit_code);
}

}  // namespace dlscale
