// SPDX-License-Identifier: BSD-3-Clause
/// Counters read around every sample, outside the timed stretch: did this rank have its cores to itself?
#pragma once

#include <string>
#include <vector>

namespace dlscale {

struct Probe {
  std::string name, unit, description;
};

/// Reads what this host offers: CPU time of the process, involuntary context switches, and, where the
/// system tells, time stolen by a hypervisor and the clock frequency.
class Probes {
 public:
  Probes();
  ~Probes();
  Probes(const Probes&) = delete;
  Probes& operator=(const Probes&) = delete;

  /// The same list on every rank; values that a host can't give are NaN.
  static const std::vector<Probe>& list();

  /// Readings before a sample.
  void begin();
  /// Differences since begin(), in list()'s order; slow probes only when the sample took at least 10 ms.
  void end(double sample_s, double* values);

 private:
  struct Reading {
    double cpu_s = 0, switches = 0, steal_s = 0;
  };
  Reading read(bool slow) const;
  double frequency_hz() const;

  Reading before_;
  int stat_fd_ = -1, frequency_fd_ = -1;
};

}  // namespace dlscale
