// SPDX-License-Identifier: BSD-3-Clause
/// What the main thread does just now, shared with the watchdog's thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "comm/watchdog_words.hpp"

namespace dlscale::watchdog {

class MainState {
 public:
  explicit MainState(double patience_s);

  void set(Doing doing, std::uint64_t stage, int case_id, double expected_s, const char* what) noexcept;
  /// The state begins anew (the others are known only now).
  void restart() noexcept;
  /// The process did not run for so long: the time does not count.
  void forgive(std::int64_t gap_ns) noexcept;

  bool worth_reporting() const noexcept;  ///< it lasts longer than expected_s + patience / 2
  double overdue_s() const noexcept;      ///< beyond expected_s + patience
  Word word() const;

 private:
  double elapsed_s() const noexcept;

  const double patience_s_;
  mutable std::mutex mutex_;
  Doing doing_ = Doing::working;
  std::uint64_t stage_ = 0;
  int case_id_ = -1;
  double expected_s_ = 0;
  std::int64_t since_ns_;
  std::array<char, 120> what_{"start of the run"};
};

}  // namespace dlscale::watchdog
