// SPDX-License-Identifier: BSD-3-Clause
#include "measure/counters.hpp"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "measure/statistics.hpp"

namespace dlscale {
namespace {

std::vector<pid_t> threads_of_process() {
  std::vector<pid_t> threads;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", none)) {
    const std::string name = entry.path().filename().string();
    pid_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc())
      threads.push_back(thread);
  }
  if (threads.empty()) threads.push_back(0);  // the calling one
  return threads;
}

int open_event(const CounterEvent& event, pid_t thread) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;  // what an unprivileged user may count
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::string reason(int error) {
  if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV)
    return "this machine has no such counter";
  if (error == EACCES || error == EPERM) {
    std::string level = "unknown";
    std::ifstream("/proc/sys/kernel/perf_event_paranoid") >> level;
    return fmt::format("not permitted, kernel.perf_event_paranoid is {}", level);
  }
  if (error == ENOSYS) return "the kernel has no perf events";
  return std::strerror(error);
}

void close_all(const std::vector<int>& descriptors) {
  for (const int descriptor : descriptors) close(descriptor);
}

// One descriptor per thread; empty with the reason in `why`. All threads or none: part of a process
// would look like a fast one. A thread that has ended meanwhile is nobody's loss.
std::vector<int> open_everywhere(const CounterEvent& event, const std::vector<pid_t>& threads,
                                 std::string& why) {
  std::vector<int> descriptors;
  for (const pid_t thread : threads) {
    const int descriptor = open_event(event, thread);
    if (descriptor >= 0) {
      descriptors.push_back(descriptor);
    } else if (errno != ESRCH) {
      why = reason(errno);
      close_all(descriptors);
      return {};
    }
  }
  return descriptors;
}

}  // namespace

const std::vector<CounterEvent>& hardware_events() {
  static const std::vector<CounterEvent> events = {
      {"cycles", "core cycles in user mode, all threads of the process", PERF_TYPE_HARDWARE,
       PERF_COUNT_HW_CPU_CYCLES},
      {"instructions", "instructions in user mode, all threads of the process", PERF_TYPE_HARDWARE,
       PERF_COUNT_HW_INSTRUCTIONS},
      {"cache_references", "last-level cache accesses in user mode, all threads of the process",
       PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
      {"cache_misses", "last-level cache misses in user mode, all threads of the process",
       PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
  };
  return events;
}

double counted(const CounterReading& before, const CounterReading& after) {
  const double enabled = after.enabled_ns - before.enabled_ns;
  const double running = after.running_ns - before.running_ns;
  if (!(running > 0)) return not_a_number;
  const double value = after.value - before.value;
  return running < enabled ? value * enabled / running : value;
}

Counters::Counters(const std::vector<CounterEvent>& wanted) {
  const std::vector<pid_t> threads = threads_of_process();
  std::vector<std::pair<std::string, std::string>> missing;  // reason, names
  for (const CounterEvent& event : wanted) {
    std::string why;
    std::vector<int> descriptors = open_everywhere(event, threads, why);
    if (!descriptors.empty()) {
      events_.push_back(event);
      descriptors_.push_back(std::move(descriptors));
      continue;
    }
    const auto same =
        std::find_if(missing.begin(), missing.end(), [&](const auto& m) { return m.first == why; });
    if (same != missing.end())
      same->second += ", " + event.name;
    else
      missing.emplace_back(why, event.name);
  }
  for (const auto& [why, names] : missing)
    why_missing_ += fmt::format("{}{}: {}", why_missing_.empty() ? "" : "; ", names, why);
  if (!why_missing_.empty()) why_missing_ = fmt::format("not available ({})", why_missing_);
}

Counters::~Counters() {
  for (const auto& descriptors : descriptors_) close_all(descriptors);
}

bool Counters::has(const std::string& name) const {
  return std::any_of(events_.begin(), events_.end(),
                     [&](const CounterEvent& event) { return event.name == name; });
}

void Counters::keep(const std::vector<std::string>& names) {
  for (std::size_t i = events_.size(); i-- > 0;) {
    if (std::find(names.begin(), names.end(), events_[i].name) != names.end()) continue;
    close_all(descriptors_[i]);
    events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(i));
    descriptors_.erase(descriptors_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Counters::read(std::vector<CounterReading>& readings) const {
  for (std::size_t i = 0; i < descriptors_.size(); ++i) {
    CounterReading sum;
    for (const int descriptor : descriptors_[i]) {
      std::array<std::uint64_t, 3> words{};
      if (::read(descriptor, words.data(), sizeof words) != static_cast<ssize_t>(sizeof words)) {
        sum = {not_a_number, not_a_number, not_a_number};
        break;
      }
      sum.value += static_cast<double>(words[0]);
      sum.enabled_ns += static_cast<double>(words[1]);
      sum.running_ns += static_cast<double>(words[2]);
    }
    readings[i] = sum;
  }
}

}  // namespace dlscale
