// SPDX-License-Identifier: BSD-3-Clause
// Config ↔ JSON for the broadcast: every value comes back as it was, doubles to the last bit.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "config/config.hpp"
#include "config/json_values.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

json to_json(const Place& place) {
  return {place.source, place.line};
}
Place place_from(const json& j) {
  return {j.at(0).get<std::string>(), j.at(1).get<int>()};
}

json to_json(const CaseRequest& request) {
  json settings = json::array(), rows = json::array(), places = json::array();
  for (const Setting& setting : request.settings) {
    json values = json::array();
    for (const Scalar& value : setting.values) values.push_back(scalar_to_json(value));
    settings.push_back({setting.key, values, to_json(setting.place)});
  }
  for (const Params& row : request.rows) rows.push_back(params_to_json(row));
  for (const Place& place : request.row_places) places.push_back(to_json(place));
  return {{"workload", request.workload}, {"settings", settings},
          {"zip", request.zip},           {"rows", rows},
          {"row_places", places},         {"list_file", request.list_file},
          {"require", request.require},   {"place", to_json(request.place)}};
}

CaseRequest case_from(const json& j) {
  CaseRequest request;
  request.workload = j.at("workload").get<std::string>();
  for (const json& item : j.at("settings")) {
    Setting setting{item.at(0).get<std::string>(), {}, place_from(item.at(2))};
    for (const json& value : item.at(1)) setting.values.push_back(scalar_from_json(value));
    request.settings.push_back(std::move(setting));
  }
  request.zip = j.at("zip").get<std::vector<std::vector<std::string>>>();
  for (const json& row : j.at("rows")) request.rows.push_back(params_from_json(row));
  for (const json& place : j.at("row_places")) request.row_places.push_back(place_from(place));
  request.list_file = j.at("list_file").get<std::string>();
  request.require = j.at("require").get<std::map<std::string, double>>();
  request.place = place_from(j.at("place"));
  return request;
}

json to_json(const RunOptions& run) {
  return {{"name", run.name},
          {"seed", run.seed},
          {"time_budget_s", run.time_budget_s},
          {"budget_from_slurm", run.budget_from_slurm},
          {"device", run.device},
          {"threads", run.threads},
          {"watchdog_s", run.watchdog_s}};
}

RunOptions run_from(const json& j) {
  RunOptions run;
  j.at("name").get_to(run.name);
  j.at("seed").get_to(run.seed);
  j.at("time_budget_s").get_to(run.time_budget_s);
  j.at("budget_from_slurm").get_to(run.budget_from_slurm);
  j.at("device").get_to(run.device);
  j.at("threads").get_to(run.threads);
  j.at("watchdog_s").get_to(run.watchdog_s);
  return run;
}

}  // namespace

nlohmann::json sampling_to_json(const SamplingOptions& s) {
  return {{"blocks", s.blocks},         {"interleave", s.interleave}, {"interval", s.interval},
          {"confidence", s.confidence}, {"warmup_s", s.warmup_s},     {"min_time_s", s.min_time_s},
          {"max_time_s", s.max_time_s}};
}

SamplingOptions sampling_from_json(const nlohmann::json& j) {
  SamplingOptions s;
  j.at("blocks").get_to(s.blocks);
  j.at("interleave").get_to(s.interleave);
  j.at("interval").get_to(s.interval);
  j.at("confidence").get_to(s.confidence);
  j.at("warmup_s").get_to(s.warmup_s);
  j.at("min_time_s").get_to(s.min_time_s);
  j.at("max_time_s").get_to(s.max_time_s);
  return s;
}

std::string config_to_json(const Config& config) {
  json cases = json::array();
  for (const CaseRequest& request : config.cases) cases.push_back(to_json(request));
  const json j = {{"run", to_json(config.run)},
                  {"sampling", sampling_to_json(config.sampling)},
                  {"cases", cases},
                  {"job_name", config.job_name},
                  {"job_text", config.job_text}};
  return dump_json(j);
}

Config config_from_json(const std::string& text) try {
  const json j = json::parse(text);
  Config config;
  config.run = run_from(j.at("run"));
  config.sampling = sampling_from_json(j.at("sampling"));
  for (const json& item : j.at("cases")) config.cases.push_back(case_from(item));
  j.at("job_name").get_to(config.job_name);
  j.at("job_text").get_to(config.job_text);
  return config;
} catch (const json::exception& e) {
  throw Error(ExitCode::bad_input, "the configuration can't be read back", e.what());
}

}  // namespace dlscale
