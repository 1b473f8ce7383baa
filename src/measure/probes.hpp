// SPDX-License-Identifier: BSD-3-Clause
/// Counters read around every sample, outside the timed stretch: did this rank have its cores to itself?
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "device/gpu_module.hpp"
#include "measure/counters.hpp"

namespace dlscale {

struct Probe {
  std::string name, unit, description;
};

/// Reads what this host offers: CPU time of the process, involuntary context switches, page faults, and,
/// where the system tells, time stolen by a hypervisor, the clock frequency and the processor's
/// counters.
class Probes {
 public:
  static constexpr double slow_from_s = 10e-3;  ///< slow probes are NaN for shorter samples

  /// Threads made later are counted with the process; so this is best made first.
  Probes();
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  /// Keeps those of the processor's counters that every rank has, so that the list is the same
  /// everywhere. @note Collective.
  void agree(const Communicator& world);

  /// Adds energy, clock, temperature and throttling of this rank's GPU; the same on all ranks.
  void watch_gpu();

  const std::vector<Probe>& list() const { return list_; }
  /// Names in list() that count events, and why others are not there ("" when none is missing).
  std::vector<std::string> counters() const;
  const std::string& why_missing() const { return why_missing_; }

  /// Readings before a sample. `slow`: the sample is likely long enough for the slow ones; `always`:
  /// they are wanted however short it is.
  void begin(bool slow, bool always = false);
  /// Differences since begin(), in list()'s order; slow probes only when begin() read them too and the
  /// sample took at least slow_from_s.
  void end(double sample_s, double* values);

 private:
  struct Reading {
    double cpu_s = 0, switches = 0, faults = 0, steal_s = 0;
    std::vector<CounterReading> counters;
    GpuSensors gpu;
  };
  void read(bool slow, Reading& reading);
  double steal_s() const;
  double frequency_hz() const;
  void make_list();

  Counters counters_;  ///< first: counts from here on
  std::vector<Probe> list_;
  std::string why_missing_;
  Reading before_, after_;
  bool slow_begun_ = false, always_ = false, gpu_ = false;
  int stat_fd_ = -1, frequency_fd_ = -1;
};

}  // namespace dlscale
