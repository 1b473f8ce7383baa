// SPDX-License-Identifier: BSD-3-Clause
#include "config/options.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/text.hpp"

namespace dlscale {
namespace {

constexpr double longest_s = 30 * 86400.0;

void set_time_budget(Config& c, const Scalar& v, const KeyPlace& k) {
  c.run.budget_from_slurm = v == Scalar(std::string("slurm"));
  c.run.time_budget_s = c.run.budget_from_slurm ? 0 : checked_duration(v, k, 0, longest_s);
}

Scalar get_time_budget(const Config& c) {
  // Once the batch system's limit is known, the number is what was done.
  if (c.run.budget_from_slurm && c.run.time_budget_s == 0) return std::string("slurm");
  return c.run.time_budget_s;
}

void set_device(Config& c, const Scalar& v, const KeyPlace& k) {
  static const std::vector<std::string> devices = {"auto", "cpu", "cuda"};
  const auto* text = std::get_if<std::string>(&v);
  for (const std::string& device : devices)
    if (text && *text == device) {
      c.run.device = device;
      return;
    }
  refuse_value(k, v, text ? "auto, cpu or cuda: " + suggest(*text, devices) : "auto, cpu or cuda");
}

constexpr std::array<Option, 13> table = {{
    {"run", "name", "name of the run, kept in the file", true,
     [](Config& c, const Scalar& v, const KeyPlace& k) { c.run.name = checked_text(v, k); },
     [](const Config& c) -> Scalar { return c.run.name; }},
    {"run", "seed", "seed of all data and of the order of blocks; from 0", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.run.seed = checked_integer(v, k, 0, std::numeric_limits<std::int64_t>::max());
     },
     [](const Config& c) -> Scalar { return c.run.seed; }},
    {"run", "time_budget",
     "total time, start-up excluded: \"90s\", \"10min\", seconds, or \"slurm\" (what remains of the "
     "job's time "
     "limit); 0 = no limit",
     false, set_time_budget, get_time_budget},
    {"run", "device", "auto (a GPU when one can be used), cpu or cuda", true, set_device,
     [](const Config& c) -> Scalar { return c.run.device; }},
    {"run", "threads", "threads per rank; 0 = the cores of the rank's share of its node", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.run.threads = checked_integer(v, k, 0, max_threads);
     },
     [](const Config& c) -> Scalar { return c.run.threads; }},
    {"run", "watchdog", "patience beyond the planned time before absent ranks are named, from 1 s",
     false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.run.watchdog_s = checked_duration(v, k, 1, longest_s);
     },
     [](const Config& c) -> Scalar { return c.run.watchdog_s; }},
    {"sampling", "blocks", "blocks of samples per case; at least 6 for an interval", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.blocks = checked_integer(v, k, 1, max_blocks);
     },
     [](const Config& c) -> Scalar { return c.sampling.blocks; }},
    {"sampling", "interleave", "blocks of different cases alternate, so that drift hits all alike",
     false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.interleave = checked_boolean(v, k);
     },
     [](const Config& c) -> Scalar { return c.sampling.interleave; }},
    {"sampling", "interval", "relative half-width of the interval at which a case may stop", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.interval = checked_number(v, k, 1e-6, 1);
     },
     [](const Config& c) -> Scalar { return c.sampling.interval; }},
    {"sampling", "confidence", "confidence of the interval", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.confidence = checked_number(v, k, 0.5, 0.999);
     },
     [](const Config& c) -> Scalar { return c.sampling.confidence; }},
    {"sampling", "warmup", "least time of warming up; 0 = until the times are steady", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.warmup_s = checked_duration(v, k, 0, longest_s);
     },
     [](const Config& c) -> Scalar { return c.sampling.warmup_s; }},
    {"sampling", "min_time",
     "every case is measured at least this long (10 s and less measure turbo); 0 = no minimum", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.min_time_s = checked_duration(v, k, 0, longest_s);
     },
     [](const Config& c) -> Scalar { return c.sampling.min_time_s; }},
    {"sampling", "max_time", "a case is measured at most this long; 0 = its share of the budget", false,
     [](Config& c, const Scalar& v, const KeyPlace& k) {
       c.sampling.max_time_s = checked_duration(v, k, 0, longest_s);
     },
     [](const Config& c) -> Scalar { return c.sampling.max_time_s; }},
}};

constexpr double unbounded = std::numeric_limits<double>::infinity();
constexpr std::array<Requirement, 4> requirement_table = {
    {{"min_rate", "fraction of the case's roof, up to 1", 1.0},
     {"min_efficiency", "efficiency against the baseline of its scaling curve, up to 1", 1.0},
     {"max_time", "seconds per repetition", unbounded},
     {"min_flops", "FLOP/s", unbounded}}};

}  // namespace

std::span<const Option> options() {
  return table;
}
std::span<const Requirement> requirements() {
  return requirement_table;
}

const std::vector<std::string>& case_words() {
  static const std::vector<std::string> words = {"workload", "zip", "list", "require"};
  return words;
}

const Option* find_option(std::string_view section, std::string_view key) {
  for (const Option& option : table)
    if (option.section == section && option.name == key) return &option;
  return nullptr;
}

void set_option(Config& config, std::string_view section, std::string_view key, const Scalar& value,
                const Place& place) {
  const std::string owner = fmt::format("[{}]", section);
  if (const Option* option = find_option(section, key))
    return option->set(config, value, {key, owner, place});
  std::vector<std::string> names;
  for (const Option& option : table)
    if (option.section == section) names.emplace_back(option.name);
  refuse_key({key, owner, place}, names);
}

void check_times(const SamplingOptions& sampling, const Place& place, std::string_view owner) {
  if (sampling.max_time_s > 0 && sampling.min_time_s > sampling.max_time_s)
    refuse(place, fmt::format("min_time of {} is more than its max_time", owner),
           fmt::format("{} against {}", format_seconds(sampling.min_time_s),
                       format_seconds(sampling.max_time_s)),
           "raise max_time, or set it to 0 for no maximum");
}

void check_options(const Config& config, const Place& place) {
  check_times(config.sampling, place, "[sampling]");
}

}  // namespace dlscale
