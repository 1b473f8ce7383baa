// SPDX-License-Identifier: BSD-3-Clause
/// What the ranks last said, and what follows from it: pure, so that it can be tested without time and
/// sockets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dlscale::watchdog {

enum class Doing : std::int32_t { working = 0, waiting = 1 };

/// The last word of one rank, as a deputy knows it.
struct Word {
  bool heard = false;
  Doing doing = Doing::working;
  std::uint64_t stage = 0;  ///< meaningful when waiting
  int case_id = -1;         ///< meaningful when working
  double elapsed_s = 0;     ///< in that state when it said so
  double limit_s = 0;       ///< what that state may last
  double age_s = 0;         ///< since it said so
  std::string what;

  /// Older words don't count: the rank may have gone on since, and a rank in trouble repeats itself
  /// every 0.5 s.
  bool fresh() const { return heard && age_s < 2.0; }
  /// As it said: what came since is unknown, and a rank still in trouble says so within half a second.
  double overdue_s() const { return elapsed_s - limit_s; }
};

/// By how much the most overdue rank has outlasted its limit; negative while all is well, −infinity
/// without a fresh word.
double most_overdue_s(std::span<const Word> words);

/// What the run waits for, and who keeps it waiting.
struct Absence {
  bool waiting = false;  ///< some rank waits for `what`; else the ranks are at work on it
  std::string what;
  double elapsed_s = 0;     ///< of the rank that waits (works) longest
  std::vector<int> absent;  ///< ranks that did not report the same wait or a later one; empty: all did
};
Absence find_absence(std::span<const Word> words);

/// *problem (why) what to do*: at most 16 ranks with host and last word, then a count. `hosts` may be
/// empty.
std::string absence_sentence(const Absence& absence, std::span<const Word> words,
                             const std::vector<std::string>& hosts);

/// "rank 3 (host n7)".
std::string rank_name(int rank, const std::vector<std::string>& hosts);

}  // namespace dlscale::watchdog
