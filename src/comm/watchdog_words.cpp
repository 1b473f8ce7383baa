// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/error.hpp"

namespace dlscale::watchdog {
namespace {

constexpr std::size_t most_names = 16;

/// The fresh word that stands for what the run waits for: the latest stage waited for, else the longest
/// work.
const Word* reference(std::span<const Word> words) {
  const Word* best = nullptr;
  for (const auto& word : words) {
    if (!word.fresh()) continue;
    const auto key = [](const Word& w) {
      return std::tuple(w.doing == Doing::waiting, w.doing == Doing::waiting ? w.stage : 0, w.elapsed_s);
    };
    if (best == nullptr || key(word) > key(*best)) best = &word;
  }
  return best;
}

std::string last_word(const Word& word) {
  if (!word.heard) return "no word from it";
  const char* verb = word.doing == Doing::waiting ? "waiting for" : "working at";
  auto text = fmt::format("{} '{}'", verb, word.what);
  const bool names_case = word.what.find("case") != std::string::npos;
  if (word.doing == Doing::working && word.case_id >= 0 && !names_case)
    text += fmt::format(" of case {}", word.case_id);
  text += fmt::format(" for {:.0f} s", word.elapsed_s);
  if (!word.fresh()) text += fmt::format(", {:.0f} s ago", word.age_s);
  return text;
}

std::string names_with_words(const std::vector<int>& ranks, std::span<const Word> words,
                             const std::vector<std::string>& hosts) {
  std::string text;
  for (std::size_t i = 0; i < std::min(ranks.size(), most_names); ++i) {
    if (i > 0) text += "; ";
    text += fmt::format("{}: {}", rank_name(ranks[i], hosts),
                        last_word(words[static_cast<std::size_t>(ranks[i])]));
  }
  if (ranks.size() > most_names) text += fmt::format("; and {} more", ranks.size() - most_names);
  return text;
}

/// Ranks whose time is over or nearly so (they start within moments of each other), unless that is true
/// of all.
std::vector<int> overdue_unless_all(std::span<const Word> words) {
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < words.size(); ++rank)
    if (words[rank].overdue_s() > -0.1 * words[rank].limit_s) ranks.push_back(static_cast<int>(rank));
  return ranks.size() == words.size() ? std::vector<int>{} : ranks;
}

}  // namespace

double most_overdue_s(std::span<const Word> words) {
  double most = -std::numeric_limits<double>::infinity();
  for (const auto& word : words)
    if (word.fresh()) most = std::max(most, word.overdue_s());
  return most;
}

Absence find_absence(std::span<const Word> words) {
  Absence result;
  const Word* ref = reference(words);
  if (ref == nullptr) return result;
  result.waiting = ref->doing == Doing::waiting;
  result.what = ref->what;
  for (const auto& word : words)
    if (word.fresh() && word.doing == ref->doing && word.what == ref->what)
      result.elapsed_s = std::max(result.elapsed_s, word.elapsed_s + word.age_s);
  for (std::size_t rank = 0; rank < words.size(); ++rank) {
    const auto& word = words[rank];
    const bool arrived =
        word.fresh() && (!result.waiting || (word.doing == Doing::waiting && word.stage >= ref->stage));
    if (!arrived) result.absent.push_back(static_cast<int>(rank));
  }
  if (!result.waiting && result.absent.empty()) result.absent = overdue_unless_all(words);
  return result;
}

std::string absence_sentence(const Absence& absence, std::span<const Word> words,
                             const std::vector<std::string>& hosts) {
  const char* verb = absence.waiting ? "arrive at" : "finish";
  const auto within = fmt::format("'{}' within {:.0f} s", absence.what, absence.elapsed_s);
  if (absence.absent.empty()) {
    const auto problem = fmt::format("none of {} ranks could {} {}", words.size(),
                                     absence.waiting ? "complete" : "finish", within);
    return sentence(
        problem,
        absence.waiting ? "every rank arrived and all still wait"
                        : "every rank answers and all still work",
        "look at the interconnect and at MPI, or raise run.watchdog; continue with --resume");
  }
  if (absence.absent.size() == 1) {
    const int rank = absence.absent[0];
    return sentence(fmt::format("{} did not {} {}", rank_name(rank, hosts), verb, within),
                    fmt::format("last word: {}", last_word(words[static_cast<std::size_t>(rank)])),
                    "look at that node, or raise run.watchdog; continue with --resume");
  }
  return sentence(
      fmt::format("{} of {} ranks did not {} {}", absence.absent.size(), words.size(), verb, within),
      names_with_words(absence.absent, words, hosts),
      "look at those nodes, or raise run.watchdog; continue with --resume");
}

std::string rank_name(int rank, const std::vector<std::string>& hosts) {
  const auto index = static_cast<std::size_t>(rank);
  if (index >= hosts.size()) return fmt::format("rank {}", rank);
  return fmt::format("rank {} (host {})", rank, hosts[index]);
}

}  // namespace dlscale::watchdog
