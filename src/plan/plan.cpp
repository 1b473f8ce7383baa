// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

constexpr std::int64_t most_cases = 20'000;  // a file and a summary of more serve nobody

// The numbers of ranks that a word of the key `ranks` stands for, ascending; nullopt for any other
// value.
std::optional<std::set<std::int64_t>> ranks_of_word(const Scalar& value, const Layout& layout) {
  const auto* word = std::get_if<std::string>(&value);
  if (word == nullptr) return std::nullopt;
  const auto total = static_cast<std::int64_t>(layout.ranks.size());
  if (*word == "nodes") return std::set<std::int64_t>{layout.nodes()};
  if (*word != "sweep" && *word != "ends") return std::nullopt;
  std::set<std::int64_t> counts = {1, total};
  if (*word == "sweep")
    for (std::int64_t p = 2; p < total; p *= 2) counts.insert(p);
  // The baseline where there are several nodes: one full node.
  if (layout.nodes() > 1)
    counts.insert(std::count_if(layout.ranks.begin(), layout.ranks.end(),
                                [](const RankPlace& place) { return place.node == 0; }));
  return counts;
}

CaseRequest with_ranks(CaseRequest request, const Layout& layout) {
  for (Setting& setting : request.settings) {
    if (setting.key != "ranks") continue;
    std::vector<Scalar> values;
    for (const Scalar& value : setting.values) {
      if (const auto counts = ranks_of_word(value, layout))
        values.insert(values.end(), counts->begin(), counts->end());
      else
        values.push_back(value);
    }
    const bool zipped = std::any_of(request.zip.begin(), request.zip.end(), [](const auto& keys) {
      return std::find(keys.begin(), keys.end(), "ranks") != keys.end();
    });
    if (zipped && values.size() != setting.values.size())
      refuse(setting.place, "ranks = \"sweep\" or \"ends\" can't be zipped",
             "its length depends on the ranks", "write the numbers");
    setting.values = std::move(values);
  }
  return request;
}

std::vector<Case> expand_all(const Config& config, CaseMaker& maker, Machine& machine) {
  std::vector<Case> asked;
  const std::vector<std::string> names = maker.workloads();
  for (const CaseRequest& written : config.cases) {
    const Entry* entry = maker.any_entry(written.workload);
    if (!entry)
      refuse(written.place, fmt::format("unknown workload '{}'", one_line(written.workload)), {},
             suggest(written.workload, names));
    const CaseRequest request = with_ranks(written, machine.layout());
    const auto room = most_cases - static_cast<std::int64_t>(asked.size());
    for_each_combination(request, room, [&](std::span<const Given> given) {
      const Place& place = request.rows.empty() || given.empty() ? request.place : *given.front().place;
      asked.push_back(maker.make(*entry, given, place));
      asked.back().require = request.require;
    });
  }
  return asked;
}

bool is_kept(const Case& c, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& pattern) {
           return matches_pattern(c.name(), pattern) || matches_pattern(c.workload, pattern) ||
                  (!c.label.empty() && matches_pattern(c.label, pattern));
         });
}

void keep_only(std::vector<Case>& asked, const std::vector<std::string>& only) {
  if (only.empty()) return;
  const std::string example = asked.empty() ? "none" : fmt::format("such as '{}'", asked.front().name());
  const std::size_t count = asked.size();
  std::erase_if(asked, [&](const Case& c) { return !is_kept(c, only); });
  if (asked.empty())
    throw Error(ExitCode::bad_input, fmt::format("no case matches --only '{}'", one_line(only.front())),
                fmt::format("the job has {} cases, {}", count, example),
                "patterns are matched against whole names");
}

// Cases of different series may measure the same thing on purpose; inside one series it is a slip.
void drop_duplicates(std::vector<Case>& asked, std::vector<std::string>& warnings) {
  std::unordered_map<std::string, int> seen;
  std::string first;
  int dropped = 0;
  std::erase_if(asked, [&](const Case& c) {
    if (seen[identity(c) + '\n' + c.series]++ == 0) return false;
    if (dropped++ == 0) first = c.name();
    return true;
  });
  if (dropped > 0)
    warnings.push_back(fmt::format(
        "{} {} appear{} again in the same series and {} measured once (first: {})", dropped,
        dropped == 1 ? "case" : "cases", dropped == 1 ? "s" : "", dropped == 1 ? "is" : "are", first));
}

// Case 0. The same case asked for by the job is this one, with the job's wishes.
void add_noop(Plan& plan, CaseMaker& maker, std::vector<Case>& asked) {
  const Entry* entry = maker.any_entry("noop");
  if (!entry) return;
  Case noop = maker.make(*entry, {}, {"noop", 0});
  noop.sampling.min_time_s = 0;
  const auto same = std::find_if(asked.begin(), asked.end(),
                                 [&](const Case& c) { return identity(c) == identity(noop); });
  if (same != asked.end()) {
    noop = *same;
    asked.erase(same);
  }
  if (noop.role.empty()) noop.role = "baseline";
  plan.cases.push_back(noop);
}

/// Finds or makes the roofs of asked cases. Indices count from the start of all roofs, or of all asked
/// cases.
class RoofFinder {
 public:
  RoofFinder(CaseMaker& maker, std::vector<Case>& asked) : maker_(maker), asked_(asked) {
    for (std::size_t i = 0; i < asked.size(); ++i) asked_at_.emplace(identity(asked[i]), i);
  }

  void find(std::vector<std::string>& warnings) {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      const Entry* entry = maker_.entry(asked_[i].workload);
      if (asked_[i].status == CaseStatus::skipped || !entry || !entry->roofs) continue;
      for (const Roof& roof : entry->roofs(asked_[i].params)) add(roof, i, warnings);
    }
  }

  /// Sets Case::roofs to ids, when roofs begin at `first_roof` and asked cases follow them.
  void link(std::vector<Case>& cases, int first_roof) const {
    const int first_asked = first_roof + static_cast<int>(roofs.size());
    for (const Link& l : links_) {
      const int id = static_cast<int>(l.roof) + (l.is_asked ? first_asked : first_roof);
      auto& list = cases[static_cast<std::size_t>(first_asked) + l.of].roofs;
      if (std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
    }
  }

  std::vector<Case> roofs;

 private:
  struct Link {
    std::size_t of, roof;
    bool is_asked;
  };

  void add(const Roof& roof, std::size_t of, std::vector<std::string>& warnings) {
    const Entry* entry = maker_.entry(roof.workload);
    if (!entry) {
      const std::string text =
          fmt::format("{} is not compared with its roof '{}': this build has none for its device",
                      asked_[of].workload, roof.workload);
      if (std::find(warnings.begin(), warnings.end(), text) == warnings.end()) warnings.push_back(text);
      return;
    }
    Case c = maker_.make_roof(*entry, roof, asked_[of]);
    // One rank is no pair: such a case has no roof, which is nothing to be told.
    if (entry->unsuited && !entry->unsuited(c.params, c.ranks).empty()) return;
    const std::string key = identity(c);
    if (const auto found = asked_at_.find(key); found != asked_at_.end()) {
      if (found->second == of) return;  // nothing is its own roof
      Case& same = asked_[found->second];
      if (same.role.empty()) same.role = "roof";
      links_.push_back({of, found->second, true});
      return;
    }
    const auto [at, is_new] = roof_at_.emplace(key, roofs.size());
    if (is_new) roofs.push_back(std::move(c));
    links_.push_back({of, at->second, false});
  }

  CaseMaker& maker_;
  std::vector<Case>& asked_;
  std::unordered_map<std::string, std::size_t> asked_at_, roof_at_;
  std::vector<Link> links_;
};

// Groups whose blocks alternate hold their data at the same time: together at most half of a rank's
// memory.
void set_groups(std::vector<Case>& cases, std::size_t first_asked, bool interleave,
                double memory_bytes) {
  int group = 0;
  double held = 0;
  for (std::size_t i = first_asked; i < cases.size(); ++i) {
    Case& c = cases[i];
    const double bytes = c.status == CaseStatus::skipped ? 0 : c.cost.memory_bytes;
    if (group == 0 || !interleave || held + bytes > memory_bytes / 2) {
      ++group;
      held = 0;
    }
    held += bytes;
    c.order = group;
  }
}

std::string without_key(std::string text, const std::string& key) {
  const std::size_t at = text.find(" " + key + "=");
  if (at == std::string::npos) return text;
  return text.erase(at, text.find(' ', at + 1) - at);
}

}  // namespace

std::string_view to_string(CaseStatus status) {
  constexpr std::string_view names[] = {"planned", "running", "completed", "failed", "skipped"};
  return names[static_cast<std::size_t>(status)];
}

std::string Case::name() const {
  std::string text = without_key(without_key(repro.empty() ? workload : repro, "occupancy"), "dtype");
  if (!dtype.empty()) text += " " + dtype;
  return text + fmt::format(" {} ×{}", occupancy, ranks);
}

Plan make_plan(const Config& config, const Layout& layout, std::span<const Entry> entries,
               const std::vector<std::string>& only) {
  Machine machine(layout);
  CaseMaker maker(config, machine, entries);
  std::vector<Case> asked = expand_all(config, maker, machine);
  keep_only(asked, only);
  Plan plan;
  plan.budget_s = config.run.time_budget_s;
  drop_duplicates(asked, plan.warnings);
  add_noop(plan, maker, asked);
  RoofFinder finder(maker, asked);
  finder.find(plan.warnings);
  const std::size_t first_roof = plan.cases.size(), first_asked = first_roof + finder.roofs.size();
  plan.cases.insert(plan.cases.end(), finder.roofs.begin(), finder.roofs.end());
  plan.cases.insert(plan.cases.end(), asked.begin(), asked.end());
  finder.link(plan.cases, static_cast<int>(first_roof));
  for (std::size_t i = 0; i < plan.cases.size(); ++i) plan.cases[i].id = static_cast<int>(i);
  set_groups(plan.cases, first_asked, config.sampling.interleave,
             machine.participants(Team{}).memory_bytes);
  split_budget(plan, machine);
  return plan;
}

}  // namespace dlscale
