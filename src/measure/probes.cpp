// SPDX-License-Identifier: BSD-3-Clause
#include "measure/probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "measure/statistics.hpp"

namespace dlscale {
namespace {

constexpr double slow_probe_from_s = 10e-3;

double pread_number(int fd, char* text, std::size_t size) {
  const ssize_t got = fd < 0 ? -1 : pread(fd, text, size - 1, 0);
  if (got <= 0) return not_a_number;
  text[got] = '\0';
  return 0;
}

}  // namespace

const std::vector<Probe>& Probes::list() {
  static const std::vector<Probe> probes = {
      {"cpu_time", "s", "CPU time of the process during the sample, all its threads"},
      {"involuntary_switches", "1", "times the system took a core away during the sample"},
      {"steal", "s",
       "time stolen by the hypervisor from all cores of the host (samples of 10 ms and more)"},
      {"frequency", "Hz",
       "clock of the rank's current core after the sample (samples of 10 ms and more)"},
  };
  return probes;
}

Probes::Probes() {
  stat_fd_ = open("/proc/stat", O_RDONLY | O_CLOEXEC);
  const int cpu = sched_getcpu();
  const std::string path =
      fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu < 0 ? 0 : cpu);
  frequency_fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

Probes::~Probes() {
  if (stat_fd_ >= 0) close(stat_fd_);
  if (frequency_fd_ >= 0) close(frequency_fd_);
}

Probes::Reading Probes::read(bool slow) const {
  Reading reading;
  timespec cpu{};
  reading.cpu_s = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0
                      ? static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)
                      : not_a_number;
  rusage usage{};
  reading.switches =
      getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<double>(usage.ru_nivcsw) : not_a_number;
  reading.steal_s = not_a_number;
  if (slow) {
    // First line: "cpu user nice system idle iowait irq softirq steal …" in clock ticks.
    std::array<char, 512> text{};
    if (pread_number(stat_fd_, text.data(), text.size()) == 0 &&
        std::strncmp(text.data(), "cpu ", 4) == 0) {
      const char* at = text.data() + 4;
      char* end = nullptr;
      unsigned long long ticks = 0;
      for (int field = 0; field < 8; ++field, at = end) ticks = std::strtoull(at, &end, 10);
      static const double ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
      reading.steal_s = static_cast<double>(ticks) / ticks_per_s;
    }
  }
  return reading;
}

double Probes::frequency_hz() const {
  std::array<char, 64> text{};
  if (pread_number(frequency_fd_, text.data(), text.size()) != 0) return not_a_number;
  const double khz = std::strtod(text.data(), nullptr);
  return khz > 0 ? 1e3 * khz : not_a_number;
}

// The slow reading is made here too: whether the sample will be long is not known yet.
void Probes::begin() {
  before_ = read(true);
}

void Probes::end(double sample_s, double* values) {
  const bool slow = sample_s >= slow_probe_from_s;
  const Reading after = read(slow);
  values[0] = after.cpu_s - before_.cpu_s;
  values[1] = after.switches - before_.switches;
  values[2] = after.steal_s - before_.steal_s;  // NaN unless slow
  values[3] = slow ? frequency_hz() : not_a_number;
}

}  // namespace dlscale
