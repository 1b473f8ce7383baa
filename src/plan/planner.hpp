// SPDX-License-Identifier: BSD-3-Clause
/// The steps from requests to a plan. Internal to plan.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/machine.hpp"
#include "plan/plan.hpp"

namespace dlscale {

/// One value of one key with the place where it was written. Points into the request.
struct Given {
  std::string_view key;
  const Scalar* value;
  const Place* place;
};

/// Calls `use` with every combination of the request's values: rows of the list first, then keys as
/// written, the rightmost fastest; zipped keys advance together. Refuses more than `limit` combinations.
void for_each_combination(const CaseRequest& request, std::int64_t limit,
                          const std::function<void(std::span<const Given>)>& use);

/// The value as the key's type; wrong types, bounds and choices are refused naming key and place.
Scalar key_value(const Key& key, const Given& given, std::string_view workload);

/// Keys of every case, handled by the plan: name, what it takes, meaning.
struct GeneralKey {
  std::string_view name, takes, help;
};
std::span<const GeneralKey> general_keys();

/// Sets threads (0 = not given), occupancy, label, series, role or sampling of `c`; false if the key is
/// none of these.
bool set_general(Case& c, const Given& given, std::string_view workload);

/// What makes cases from keys, with what they need to know.
class CaseMaker {
 public:
  CaseMaker(const Config& config, Machine& machine, std::span<const Entry> entries)
      : config_(config), machine_(machine), entries_(entries) {}

  /// nullptr when this build has no such workload for the run's device.
  const Entry* entry(std::string_view workload) const;
  /// Any variant, for its keys; nullptr for an unknown workload.
  const Entry* any_entry(std::string_view workload) const;
  std::vector<std::string> workloads() const;

  /// A case with cost, prediction and repro; skipped with the reason when it can't run here.
  Case make(const Entry& entry, std::span<const Given> given, const Place& place);
  /// A roof of `of`, with its threads and occupancy.
  Case make_roof(const Entry& entry, const Roof& roof, const Case& of);

 private:
  void complete(Case& c, const Entry& entry, const Place& place);
  void skip_if_impossible(Case& c, const Entry& entry);

  const Config& config_;
  Machine& machine_;
  std::span<const Entry> entries_;
};

/// Seconds a case needs at least: its blocks of one repetition (of all their samples where a block is a
/// whole unit), two repetitions of warm-up, all turns.
double needed_s(const Case& c, Machine& machine);

/// Splits the budget over the cases that run; warns when it can't hold what they need.
void split_budget(Plan& plan, Machine& machine);

}  // namespace dlscale
