// SPDX-License-Identifier: BSD-3-Clause
/// Events that the kernel counts for this process: the processor's counters, where the system has them
/// and lets us (perf_event_open(2)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dlscale {

struct CounterEvent {
  std::string name, description;
  std::uint32_t type = 0;  ///< perf_event_attr::type
  std::uint64_t config = 0;
};

/// cycles, instructions, cache_references, cache_misses: user mode, all threads of the process.
const std::vector<CounterEvent>& hardware_events();

/// Sums over all threads since the start. An event that shares its register with others counts only part
/// of the time.
struct CounterReading {
  double value = 0, enabled_ns = 0, running_ns = 0;
};

/// Events between two readings: scaled up by the time that was not counted; NaN when none was.
double counted(const CounterReading& before, const CounterReading& after);

/// Counts from construction on, in the threads that exist then (a BLAS library may start its own before
/// main) and in all that these and their descendants create later.
class Counters {
 public:
  explicit Counters(const std::vector<CounterEvent>& wanted = hardware_events());
  ~Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  const std::vector<CounterEvent>& events() const { return events_; }  ///< that are counted
  bool has(const std::string& name) const;
  void keep(const std::vector<std::string>& names);  ///< stops all others
  /// "not available (cycles, …: this machine has no such counter)"; empty when all wanted are there.
  const std::string& why_missing() const { return why_missing_; }
  /// One reading per event: a system call per event and thread of the start, about 1 µs each.
  void read(std::vector<CounterReading>& readings) const;

 private:
  std::vector<CounterEvent> events_;
  std::vector<std::vector<int>> descriptors_;  ///< [event][thread at the start]
  std::string why_missing_;
};

}  // namespace dlscale
