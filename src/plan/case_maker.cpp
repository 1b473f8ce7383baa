// SPDX-License-Identifier: BSD-3-Clause
// One combination of keys → one Case with cost, prediction and repro.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "config/options.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

[[noreturn]] void refuse_unknown_key(const Entry& entry, const Given& given) {
  std::vector<std::string> names;
  for (const Key& key : entry.keys) names.push_back(key.name);
  for (const GeneralKey& key : general_keys()) names.emplace_back(key.name);
  for (const std::string& word : case_words()) names.push_back(word);
  refuse_key({given.key, entry.name, *given.place}, names);
}

Params defaults_of(const Entry& entry) {
  Params params;
  for (const Key& key : entry.keys) params.set(key.name, key.default_value);
  return params;
}

void set_key(Case& c, const Entry& entry, const Given& given) {
  if (set_general(c, given, entry.name)) return;
  const auto key = std::find_if(entry.keys.begin(), entry.keys.end(),
                                [&](const Key& k) { return k.name == given.key; });
  if (key == entry.keys.end()) refuse_unknown_key(entry, given);
  c.params.set(key->name, key_value(*key, given, entry.name));
}

std::string repro_of(const Case& c, const Entry& entry, int auto_threads, int all_ranks) {
  std::string text = c.workload;
  for (const Key& key : entry.keys)
    if (const Scalar& value = c.params.at(key.name); value != key.default_value)
      text += fmt::format(" {}={}", key.name, bare_text(value));
  if (c.threads != auto_threads) text += fmt::format(" threads={}", c.threads);
  if (c.occupancy != "together") text += fmt::format(" occupancy={}", c.occupancy);
  if (!c.placement.empty() && c.ranks != all_ranks) text += fmt::format(" ranks={}", c.ranks);
  if (c.placement == "spread") text += " placement=spread";
  return text;
}

bool makes_sense(const Cost& cost) {
  const auto good = [](double x) { return std::isfinite(x) && x >= 0; };
  return good(cost.flops) && good(cost.bytes_touched) && good(cost.bytes_sent) &&
         good(cost.memory_bytes) && good(cost.check_bytes) && good(cost.items);
}

// A block's samples come to the root in one piece.
void check_block(const Case& c, const Place& place) {
  constexpr std::int64_t most_block_samples = 10'000'000;
  if (c.block_samples < 0 || c.block_samples > most_block_samples)
    refuse(place, fmt::format("a block of '{}' has {} samples", c.repro, c.block_samples),
           fmt::format("at most {} can be gathered", most_block_samples),
           "choose a larger batch or less data");
}

void check_distributed(const Case& c, const Place& place) {
  if (c.occupancy != "together")
    refuse(place, fmt::format("key 'occupancy' of {} can't be \"{}\"", c.workload, c.occupancy),
           "all its ranks work on one problem", "leave occupancy out, or choose with ranks");
}

void check_per_rank(const Case& c, const Place& place) {
  const char* key = c.ranks != 0 ? "ranks" : c.placement.empty() ? nullptr : "placement";
  if (key != nullptr)
    refuse(place, fmt::format("key '{}' can't be given to {}", key, c.workload),
           "every rank works by itself", "choose who works with occupancy");
}

}  // namespace

std::string identity(const Case& c) {
  std::string text = fmt::format("{} {} {} {} {} {}", c.workload, c.variant, c.threads, c.occupancy,
                                 c.placement, c.placement.empty() ? 0 : c.ranks);
  for (const auto& [key, value] : c.params.items()) text += fmt::format(" {}={}", key, toml_text(value));
  return text;
}

const Entry* CaseMaker::entry(std::string_view workload) const {
  for (const Entry& e : entries_)
    if (e.name == workload && e.variant == machine_.layout().device) return &e;
  return nullptr;
}

const Entry* CaseMaker::any_entry(std::string_view workload) const {
  if (const Entry* e = entry(workload)) return e;
  for (const Entry& e : entries_)
    if (e.name == workload) return &e;
  return nullptr;
}

std::vector<std::string> CaseMaker::workloads() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_)
    if (std::find(names.begin(), names.end(), e.name) == names.end()) names.push_back(e.name);
  return names;
}

Case CaseMaker::make(const Entry& entry, std::span<const Given> given, const Place& place) {
  Case c;
  c.params = defaults_of(entry);
  c.sampling = config_.sampling;
  c.threads = 0;
  c.occupancy = "together";
  for (const Given& one : given) set_key(c, entry, one);
  check_times(c.sampling, place, entry.name);
  complete(c, entry, place);
  return c;
}

Case CaseMaker::make_roof(const Entry& entry, const Roof& roof, const Case& of) {
  const Place place{fmt::format("roof of {}", of.workload), 0};
  Case c;
  c.params = defaults_of(entry);
  for (const auto& [key, value] : roof.params.items()) set_key(c, entry, {key, &value, &place});
  c.sampling = config_.sampling;
  c.sampling.min_time_s = 0;  // roofs get a small fixed share of the budget
  c.threads = of.threads;
  c.occupancy = of.occupancy;
  if (entry.is_distributed(c.params)) {  // of the same ranks
    c.ranks = of.ranks;
    c.placement = of.placement;
  }
  c.role = "roof";
  complete(c, entry, place);
  return c;
}

void CaseMaker::complete(Case& c, const Entry& entry, const Place& place) {
  c.workload = entry.name;
  c.variant = c.device = entry.variant;
  const bool distributed = entry.is_distributed(c.params);
  const int total = machine_.participants(Team{}).ranks;
  if (distributed) {
    check_distributed(c, place);
    if (c.placement.empty()) c.placement = "packed";
    if (c.ranks == 0) c.ranks = total;
  } else {
    check_per_rank(c, place);
  }
  if (c.threads == 0) c.threads = static_cast<int>(config_.run.threads);
  if (c.threads == 0) c.threads = machine_.auto_threads();
  if (c.params.has("dtype"))
    if (const auto* dtype = std::get_if<std::string>(&c.params.at("dtype"))) c.dtype = *dtype;
  if (entry.validate)
    if (const std::string problem = entry.validate(c.params); !problem.empty())
      refuse(place, fmt::format("{}: {}", entry.name, problem));
  if (!distributed) c.ranks = machine_.participants(c.team()).ranks;
  if (entry.cost) c.cost = entry.cost(c.params, c.ranks, c.threads);
  c.repro = repro_of(c, entry, machine_.auto_threads(), total);
  if (!makes_sense(c.cost))
    refuse(place, fmt::format("the cost of '{}' is not finite", c.repro), "its numbers are too large",
           "choose smaller values");
  if (entry.block_samples) c.block_samples = entry.block_samples(c.params, c.ranks);
  check_block(c, place);
  c.predicted_s = machine_.predicted_s(c, distributed);
  skip_if_impossible(c, entry);
}

void CaseMaker::skip_if_impossible(Case& c, const Entry& entry) {
  const Participants& p = machine_.participants(c.team());
  const int wanted = ranks_at_once(c.occupancy);
  // noop has no device of its own: the harness costs the same.
  if (c.ranks > machine_.participants(Team{}).ranks) {
    c.message = sentence(
        fmt::format("needs {} ranks, there are {}", c.ranks, machine_.participants(Team{}).ranks), {},
        "start more ranks");
  } else if (const std::string& device = machine_.layout().device;
             entry.variant != device && entry.name != "noop") {
    c.variant = c.device = device;
    c.message =
        sentence(fmt::format("{} has no variant for device '{}' in this build", entry.name, device), {},
                 fmt::format("use --device {}", entry.variant));
  } else if (wanted > machine_.most_ranks_per_node()) {
    c.message = sentence(fmt::format("occupancy \"{}\" needs {} ranks on a node, at most {} run on one",
                                     wanted, wanted, machine_.most_ranks_per_node()),
                         {}, "start more ranks per node");
  } else if (const double needed = c.cost.memory_bytes + c.cost.check_bytes; needed > p.memory_bytes) {
    c.message = fmt::format("needs {} per rank, {} available ({})", format_bytes(needed),
                            format_bytes(p.memory_bytes), p.tightest);
  } else if (entry.unavailable && !machine_.layout().assumed) {
    c.message = entry.unavailable(c.params);
  }
  if (c.message.empty() && entry.unsuited && entry.is_distributed(c.params))
    c.message = entry.unsuited(c.params, c.ranks);
  if (!c.message.empty()) c.status = CaseStatus::skipped;
}

}  // namespace dlscale
