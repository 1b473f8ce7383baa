// SPDX-License-Identifier: BSD-3-Clause
// Plan ↔ JSON: every value comes back as it was, doubles to the last bit.
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "config/json_values.hpp"
#include "plan/plan.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

CaseStatus status_from(const std::string& text) {
  for (const CaseStatus status : {CaseStatus::planned, CaseStatus::running, CaseStatus::completed,
                                  CaseStatus::failed, CaseStatus::skipped})
    if (text == to_string(status)) return status;
  throw Error(ExitCode::bad_input, "the plan can't be read back", "unknown status '" + text + "'");
}

json to_json(const Cost& cost) {
  return {number_to_json(cost.flops),       number_to_json(cost.bytes_touched),
          number_to_json(cost.bytes_sent),  number_to_json(cost.memory_bytes),
          number_to_json(cost.check_bytes), number_to_json(cost.items)};
}

Cost cost_from(const json& j) {
  return {number_from_json(j.at(0)), number_from_json(j.at(1)), number_from_json(j.at(2)),
          number_from_json(j.at(3)), number_from_json(j.at(4)), number_from_json(j.at(5))};
}

// Text members by name, so that writing and reading can't differ.
using Text = std::string Case::*;
constexpr std::array<std::pair<const char*, Text>, 11> texts = {{{"workload", &Case::workload},
                                                                 {"variant", &Case::variant},
                                                                 {"device", &Case::device},
                                                                 {"dtype", &Case::dtype},
                                                                 {"series", &Case::series},
                                                                 {"role", &Case::role},
                                                                 {"label", &Case::label},
                                                                 {"occupancy", &Case::occupancy},
                                                                 {"placement", &Case::placement},
                                                                 {"message", &Case::message},
                                                                 {"repro", &Case::repro}}};
using Integer = int Case::*;
constexpr std::array<std::pair<const char*, Integer>, 4> integers = {
    {{"id", &Case::id}, {"order", &Case::order}, {"ranks", &Case::ranks}, {"threads", &Case::threads}}};
using Number = double Case::*;
constexpr std::array<std::pair<const char*, Number>, 2> numbers = {
    {{"predicted_s", &Case::predicted_s}, {"budget_s", &Case::budget_s}}};

json to_json(const Case& c) {
  json j;
  for (const auto& [name, member] : texts) j[name] = c.*member;
  for (const auto& [name, member] : integers) j[name] = c.*member;
  for (const auto& [name, member] : numbers) j[name] = number_to_json(c.*member);
  j["block_samples"] = c.block_samples;
  j["params"] = params_to_json(c.params);
  j["cost"] = to_json(c.cost);
  j["sampling"] = sampling_to_json(c.sampling);
  j["require"] = c.require;
  j["status"] = std::string(to_string(c.status));
  j["roofs"] = c.roofs;
  return j;
}

Case case_from(const json& j) {
  Case c;
  for (const auto& [name, member] : texts) j.at(name).get_to(c.*member);
  for (const auto& [name, member] : integers) j.at(name).get_to(c.*member);
  for (const auto& [name, member] : numbers) c.*member = number_from_json(j.at(name));
  j.at("block_samples").get_to(c.block_samples);
  c.params = params_from_json(j.at("params"));
  c.cost = cost_from(j.at("cost"));
  c.sampling = sampling_from_json(j.at("sampling"));
  c.require = j.at("require").get<std::map<std::string, double>>();
  c.status = status_from(j.at("status").get<std::string>());
  c.roofs = j.at("roofs").get<std::vector<int>>();
  return c;
}

}  // namespace

std::string plan_to_json(const Plan& plan) {
  json cases = json::array();
  for (const Case& c : plan.cases) cases.push_back(to_json(c));
  const json j = {{"cases", cases},
                  {"budget_s", number_to_json(plan.budget_s)},
                  {"predicted_s", number_to_json(plan.predicted_s)},
                  {"warnings", plan.warnings}};
  return dump_json(j);
}

Plan plan_from_json(const std::string& text) try {
  const json j = json::parse(text);
  Plan plan;
  for (const json& item : j.at("cases")) plan.cases.push_back(case_from(item));
  plan.budget_s = number_from_json(j.at("budget_s"));
  plan.predicted_s = number_from_json(j.at("predicted_s"));
  plan.warnings = j.at("warnings").get<std::vector<std::string>>();
  return plan;
} catch (const json::exception& e) {
  throw Error(ExitCode::bad_input, "the plan can't be read back", e.what());
}

}  // namespace dlscale
