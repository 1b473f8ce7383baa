// SPDX-License-Identifier: BSD-3-Clause
// Values by the types, bounds and choices of their keys.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/checked_value.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

constexpr std::array<GeneralKey, 12> general = {{
    {"threads", "integer from 0",
     "threads per rank; 0 = [run] threads, else the cores of the rank's share"},
    {"occupancy", "alone, together or a number",
     "who works at the same time: one rank per node (by turns, one per NUMA domain), all, or so many "
     "per node"},
    {"ranks", "integer from 0, sweep, ends or nodes",
     "of distributed cases: so many ranks work on the problem, the others sleep; 0 = all; sweep = "
     "1, 2, 4 … a full node and all; ends = 1, a full node and all; nodes = as many as nodes"},
    {"placement", "packed or spread",
     "of distributed cases with fewer ranks than there are: fill one node after the other, or take one "
     "rank of every node in turn"},
    {"label", "string", "name of the case, kept in the file"},
    {"series", "string", "name of the sweep that the case belongs to"},
    {"role", "string", "what the case is for others, such as baseline"},
    {"blocks", "integer from 1", "overrides [sampling] blocks"},
    {"interval", "number from 1e-6 to 1", "overrides [sampling] interval"},
    {"warmup", "duration", "overrides [sampling] warmup"},
    {"min_time", "duration", "overrides [sampling] min_time"},
    {"max_time", "duration", "overrides [sampling] max_time"},
}};

std::string bounds(const Key& key) {
  const auto text = [&](double bound) {
    const bool whole = std::fabs(bound) < 1e15 && bound == std::floor(bound);
    return whole ? fmt::format("{:.0f}", bound) : fmt::format("{}", bound);
  };
  if (key.min && key.max) return fmt::format(" from {} to {}", text(*key.min), text(*key.max));
  if (key.min) return fmt::format(" from {}", text(*key.min));
  return key.max ? fmt::format(" up to {}", text(*key.max)) : std::string();
}

Scalar choice(const Key& key, const KeyPlace& where, const Scalar& value) {
  // A number or flag where a name is wanted is taken as written: label = 5, dtype=64.
  Scalar name = to_text(value);
  if (key.choices.empty()) return checked_text(name, where);
  const std::string& word = std::get<std::string>(name);
  if (std::find(key.choices.begin(), key.choices.end(), word) == key.choices.end())
    refuse_value(where, value,
                 fmt::format("one of {}", fmt::join(key.choices, ", ")) +
                     (nearest(word, key.choices) ? "; " + suggest(word, key.choices) : ""));
  return name;
}

std::string text_value(const Given& given, const KeyPlace& where) {
  return checked_text(Scalar(to_text(*given.value)), where);
}

std::string occupancy_value(const Given& given, const KeyPlace& where) {
  const std::string text = to_text(*given.value);
  if (!is_occupancy(text)) {
    static const std::vector<std::string> words = {"alone", "together"};
    const auto near = nearest(text, words);
    refuse_value(where, *given.value,
                 "\"alone\", \"together\" or a number of ranks per node" +
                     (near ? "; " + suggest(text, words) : std::string()));
  }
  return text;
}

std::string placement_value(const Given& given, const KeyPlace& where) {
  const std::string text = to_text(*given.value);
  if (text != "packed" && text != "spread")
    refuse_value(where, *given.value, "\"packed\" or \"spread\"");
  return text;
}

constexpr std::int64_t max_ranks = 100'000'000;

// Words for numbers of ranks are gone by now: the plan has replaced those it knows.
int ranks_value(const Given& given, const KeyPlace& where) {
  if (std::holds_alternative<std::string>(*given.value))
    refuse_value(where, *given.value, "an integer from 0, \"sweep\", \"ends\" or \"nodes\"");
  return static_cast<int>(checked_integer(*given.value, where, 0, max_ranks));
}

}  // namespace

std::span<const GeneralKey> general_keys() {
  return general;
}

Scalar key_value(const Key& key, const Given& given, std::string_view workload) {
  const KeyPlace where{given.key, workload, *given.place};
  const Scalar& value = *given.value;
  if (std::holds_alternative<std::string>(key.default_value)) return choice(key, where, value);
  if (std::holds_alternative<bool>(key.default_value)) return checked_boolean(value, where);
  const bool wants_integer = std::holds_alternative<std::int64_t>(key.default_value);
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* number = std::get_if<double>(&value);
  const double size = integer ? static_cast<double>(*integer) : number ? *number : std::nan("");
  const bool fits =
      std::isfinite(size) && (!key.min || size >= *key.min) && (!key.max || size <= *key.max);
  if (!fits || (wants_integer && !integer))
    refuse_value(where, value, (wants_integer ? "an integer" : "a number") + bounds(key));
  return wants_integer ? value : Scalar(size);
}

bool set_general(Case& c, const Given& given, std::string_view workload) {
  const KeyPlace where{given.key, workload, *given.place};
  const Scalar& value = *given.value;
  constexpr double longest_s = 30 * 86400.0;
  if (given.key == "threads")
    c.threads = static_cast<int>(checked_integer(value, where, 0, max_threads));
  else if (given.key == "occupancy")
    c.occupancy = occupancy_value(given, where);
  else if (given.key == "ranks")
    c.ranks = ranks_value(given, where);
  else if (given.key == "placement")
    c.placement = placement_value(given, where);
  else if (given.key == "label")
    c.label = text_value(given, where);
  else if (given.key == "series")
    c.series = text_value(given, where);
  else if (given.key == "role")
    c.role = text_value(given, where);
  else if (given.key == "blocks")
    c.sampling.blocks = checked_integer(value, where, 1, max_blocks);
  else if (given.key == "interval")
    c.sampling.interval = checked_number(value, where, 1e-6, 1);
  else if (given.key == "warmup")
    c.sampling.warmup_s = checked_duration(value, where, 0, longest_s);
  else if (given.key == "min_time")
    c.sampling.min_time_s = checked_duration(value, where, 0, longest_s);
  else if (given.key == "max_time")
    c.sampling.max_time_s = checked_duration(value, where, 0, longest_s);
  else
    return false;
  return true;
}

}  // namespace dlscale
