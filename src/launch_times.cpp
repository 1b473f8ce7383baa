// SPDX-License-Identifier: BSD-3-Clause
#include "launch_times.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "measure/statistics.hpp"
#include "record/system_facts.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

struct Beginning {
  timespec utc{}, since_boot{};
};
Beginning beginning;  // written once, before any thread

double seconds_of(const timespec& t) {
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds from boot to this process's creation: field 22 of /proc/self/stat, in clock ticks (proc(5)).
// The name in field 2 may hold blanks and parentheses.
double created_s() {
  const std::string text = read_text_file("/proc/self/stat").value_or("");
  std::size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  const long ticks_per_s = sysconf(_SC_CLK_TCK);
  std::int64_t ticks = 0;
  if (at == std::string::npos || ticks_per_s <= 0) return not_a_number;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data() + at + 1, end, ticks).ec != std::errc{} || ticks <= 0)
    return not_a_number;
  return static_cast<double>(ticks) / static_cast<double>(ticks_per_s);
}

// {min, median, max, slowest_rank}, seconds; null when no rank knows.
json spread(const std::vector<StartTimes>& ranks, double StartTimes::*member) {
  std::vector<double> known;
  std::size_t slowest = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const double value = ranks[r].*member;
    if (std::isnan(value)) continue;
    if (known.empty() || value > ranks[slowest].*member) slowest = r;
    known.push_back(value);
  }
  if (known.empty()) return nullptr;
  const auto [least, most] = std::minmax_element(known.begin(), known.end());
  return {{"min", *least}, {"median", median(known)}, {"max", *most}, {"slowest_rank", slowest}};
}

}  // namespace

void note_main_begins() noexcept {
  clock_gettime(CLOCK_REALTIME, &beginning.utc);
  clock_gettime(CLOCK_BOOTTIME, &beginning.since_boot);
}

StartTimes start_times() {
  StartTimes times;
  times.main_ns =
      static_cast<std::int64_t>(beginning.utc.tv_sec) * 1'000'000'000 + beginning.utc.tv_nsec;
  times.loading_s = seconds_of(beginning.since_boot) - created_s();
  // Rounding to ticks may make it negative; more than that, or days, is another clock (an emulated
  // /proc).
  if (times.loading_s < 0 && times.loading_s > -0.1) times.loading_s = 0;
  if (times.loading_s < 0 || times.loading_s > 86'400) times.loading_s = not_a_number;
  return times;
}

std::optional<std::int64_t> launch_time(const char* text, std::int64_t main_ns) {
  constexpr std::int64_t day_ns = 86'400'000'000'000;
  if (text == nullptr) return std::nullopt;
  std::int64_t ns = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, fault] = std::from_chars(text, end, ns);
  if (fault != std::errc{} || rest != end || ns > main_ns || ns < main_ns - day_ns) return std::nullopt;
  return ns;
}

json start_json(std::optional<std::int64_t> launch_ns, const std::vector<StartTimes>& ranks) {
  json start = {{"launch_s", nullptr},
                {"loading_s", spread(ranks, &StartTimes::loading_s)},
                {"mpi_init_s", spread(ranks, &StartTimes::mpi_init_s)}};
  if (!launch_ns || ranks.empty()) return start;
  const auto latest = std::max_element(
      ranks.begin(), ranks.end(), [](const auto& a, const auto& b) { return a.main_ns < b.main_ns; });
  const auto since = [&](const StartTimes& t) {
    return 1e-9 * static_cast<double>(t.main_ns - *launch_ns);
  };
  start["launch_s"] = {{"root", since(ranks.front())},
                       {"latest", since(*latest)},
                       {"latest_rank", latest - ranks.begin()}};
  return start;
}

}  // namespace dlscale
