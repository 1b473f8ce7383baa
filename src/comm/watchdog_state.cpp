// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_state.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"

namespace dlscale::watchdog {

MainState::MainState(double patience_s) : patience_s_(patience_s), since_ns_(now_ns()) {}

void MainState::set(Doing doing, std::uint64_t stage, int case_id, double expected_s,
                    const char* what) noexcept {
  const std::int64_t now = now_ns();
  const std::size_t length = std::min(std::strlen(what), what_.size() - 1);
  const std::scoped_lock lock(mutex_);
  doing_ = doing;
  stage_ = stage;
  case_id_ = case_id;
  expected_s_ = expected_s > 0 ? expected_s : 0;  // a NaN counts as 0
  since_ns_ = now;
  std::memcpy(what_.data(), what, length);
  what_[length] = '\0';
}

void MainState::restart() noexcept {
  const std::scoped_lock lock(mutex_);
  since_ns_ = now_ns();
}

void MainState::forgive(std::int64_t gap_ns) noexcept {
  const std::scoped_lock lock(mutex_);
  since_ns_ = std::min(since_ns_ + gap_ns, now_ns());
}

bool MainState::worth_reporting() const noexcept {
  const std::scoped_lock lock(mutex_);
  return elapsed_s() > expected_s_ + patience_s_ / 2;
}

double MainState::overdue_s() const noexcept {
  const std::scoped_lock lock(mutex_);
  return elapsed_s() - expected_s_ - patience_s_;
}

Word MainState::word() const {
  const std::scoped_lock lock(mutex_);
  return {.heard = true,
          .doing = doing_,
          .stage = stage_,
          .case_id = case_id_,
          .elapsed_s = elapsed_s(),
          .limit_s = expected_s_ + patience_s_,
          .age_s = 0,
          .what = what_.data()};
}

double MainState::elapsed_s() const noexcept {
  return seconds_since(since_ns_);
}

}  // namespace dlscale::watchdog
