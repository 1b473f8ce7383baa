// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_words.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "dlscale_catch.hpp"

using namespace dlscale::watchdog;

namespace {

Word waits(std::uint64_t stage, double elapsed_s, const char* what = "gather of case 4") {
  return {.heard = true,
          .doing = Doing::waiting,
          .stage = stage,
          .elapsed_s = elapsed_s,
          .limit_s = 60,
          .what = what};
}

Word works(double elapsed_s, const char* what = "run of case 4", double age_s = 0) {
  return {.heard = true,
          .doing = Doing::working,
          .case_id = 4,
          .elapsed_s = elapsed_s,
          .limit_s = 60,
          .age_s = age_s,
          .what = what};
}

const std::vector<std::string> hosts{"n1", "n1", "n7", "n7"};

}  // namespace

TEST_CASE("the most overdue fresh word counts", "[watchdog]") {
  std::vector<Word> words(3);
  CHECK(most_overdue_s(words) == -std::numeric_limits<double>::infinity());
  words[1] = waits(7, 50);
  CHECK(most_overdue_s(words) == Approx(-10));
  words[2] = works(61.5);
  CHECK(most_overdue_s(words) == Approx(1.5));
  words[2].age_s = 3;  // it said so 3 s ago and has been silent since: no longer its state
  CHECK(most_overdue_s(words) == Approx(-10));
  words[1] = waits(7, 59.8);
  words[1].age_s = 1;  // it may have arrived since: only what it said counts
  CHECK(most_overdue_s(words) < 0);
  words[1].limit_s = std::numeric_limits<double>::infinity();
  CHECK(most_overdue_s(words) < 0);
}

TEST_CASE("absent are those that did not report the same wait or a later one", "[watchdog]") {
  std::vector<Word> words{waits(7, 65), waits(7, 40), Word{}, works(64)};
  auto absence = find_absence(words);
  CHECK(absence.waiting);
  CHECK(absence.what == "gather of case 4");
  CHECK(absence.elapsed_s == Approx(65));
  CHECK(absence.absent == std::vector<int>{2, 3});

  words[1] = waits(6, 65, "earlier");
  CHECK(find_absence(words).absent == std::vector<int>{1, 2, 3});
  words[1] = waits(9, 1, "later");  // the latest stage anyone waits for is what is missing ranks
  absence = find_absence(words);
  CHECK(absence.what == "later");
  CHECK(absence.absent == std::vector<int>{0, 2, 3});
}

TEST_CASE("a rank that waited, but is silent now, is absent", "[watchdog]") {
  std::vector<Word> words{waits(7, 65), waits(7, 60)};
  words[1].age_s = 5;
  CHECK(find_absence(words).absent == std::vector<int>{1});
}

TEST_CASE("lost inside a collective run: everybody works, one is silent", "[watchdog]") {
  std::vector<Word> words{works(65), works(65), Word{}, works(64.9)};
  const auto absence = find_absence(words);
  CHECK_FALSE(absence.waiting);
  CHECK(absence.absent == std::vector<int>{2});
  CHECK(absence_sentence(absence, words, hosts) ==
        "rank 2 (host n7) did not finish 'run of case 4' within 65 s (last word: no word from it) look "
        "at that node, or "
        "raise run.watchdog; continue with --resume");
}

TEST_CASE("one works for ever beside others that work as planned", "[watchdog]") {
  std::vector<Word> words{works(5), works(61, "run of case 3"), works(5), works(4)};
  CHECK(find_absence(words).absent == std::vector<int>{1});
}

TEST_CASE("all arrived and MPI is stuck: nobody is blamed", "[watchdog]") {
  std::vector<Word> words{waits(7, 65), waits(7, 65), waits(7, 64), waits(7, 64)};
  const auto absence = find_absence(words);
  CHECK(absence.absent.empty());
  const auto text = absence_sentence(absence, words, hosts);
  CHECK(text.find("none of 4 ranks could complete 'gather of case 4' within 65 s (every rank arrived") ==
        0);

  std::vector<Word> at_work{works(61), works(61), works(60.5), works(60)};
  CHECK(find_absence(at_work).absent.empty());
}

TEST_CASE("the sentence names rank, host and last word", "[watchdog]") {
  std::vector<Word> words{waits(7, 65), waits(7, 65), waits(7, 65), works(64)};
  const auto one = absence_sentence(find_absence(words), words, hosts);
  CHECK(one ==
        "rank 3 (host n7) did not arrive at 'gather of case 4' within 65 s (last word: working at 'run "
        "of case 4' for "
        "64 s) look at that node, or raise run.watchdog; continue with --resume");
  words[2] = works(30, "between stages", 34);
  const auto two = absence_sentence(find_absence(words), words, hosts);
  CHECK(two ==
        "2 of 4 ranks did not arrive at 'gather of case 4' within 65 s (rank 2 (host n7): working at "
        "'between stages' of "
        "case 4 for 30 s, 34 s ago; rank 3 (host n7): working at 'run of case 4' for 64 s) look at "
        "those nodes, or raise "
        "run.watchdog; continue with --resume");
  CHECK(absence_sentence(find_absence(words), words, {}).find("rank 2: working") != std::string::npos);
}

TEST_CASE("sixteen names at most, then a count", "[watchdog]") {
  std::vector<Word> words(1000);
  words[0] = waits(7, 65);
  const auto text = absence_sentence(find_absence(words), words, {});
  CHECK(text.find("999 of 1000 ranks did not arrive") == 0);
  CHECK(text.find("rank 16: no word from it; and 983 more)") != std::string::npos);
  CHECK(text.find("rank 17") == std::string::npos);
}
