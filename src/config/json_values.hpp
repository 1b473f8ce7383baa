// SPDX-License-Identifier: BSD-3-Clause
/// JSON of the values that config and plan share. Doubles keep every bit and stay doubles; inf and NaN
/// are strings.
#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "config/config.hpp"

namespace dlscale {

/// JSON has no inf and NaN.
inline nlohmann::json number_to_json(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

inline double number_from_json(const nlohmann::json& j) {
  if (j.is_number()) return j.get<double>();
  const auto text = j.get<std::string>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  return text == "-inf" ? -std::numeric_limits<double>::infinity()
                        : std::numeric_limits<double>::infinity();
}

inline nlohmann::json scalar_to_json(const Scalar& value) {
  // A non-finite double is wrapped, as a bare string would come back as a string.
  if (const auto* d = std::get_if<double>(&value); d && !std::isfinite(*d))
    return nlohmann::json::array({number_to_json(*d)});
  return std::visit([](const auto& v) -> nlohmann::json { return v; }, value);
}

inline Scalar scalar_from_json(const nlohmann::json& j) {
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_integer()) return j.get<std::int64_t>();
  if (j.is_number_float()) return j.get<double>();
  if (j.is_array()) return number_from_json(j.at(0));
  return j.get<std::string>();
}

inline nlohmann::json params_to_json(const Params& params) {
  nlohmann::json j = nlohmann::json::array();
  for (const auto& [key, value] : params.items())
    j.push_back(nlohmann::json::array({key, scalar_to_json(value)}));
  return j;
}

inline Params params_from_json(const nlohmann::json& j) {
  Params params;
  for (const auto& item : j) params.set(item.at(0).get<std::string>(), scalar_from_json(item.at(1)));
  return params;
}

nlohmann::json sampling_to_json(const SamplingOptions& sampling);
SamplingOptions sampling_from_json(const nlohmann::json& j);

/// Never throws on texts that are not UTF-8 (file names may be anything): such bytes become U+FFFD.
inline std::string dump_json(const nlohmann::json& j) {
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace dlscale
