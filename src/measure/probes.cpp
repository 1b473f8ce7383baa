// SPDX-License-Identifier: BSD-3-Clause
#include "measure/probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "comm/agreement.hpp"
#include "measure/statistics.hpp"

namespace dlscale {
namespace {

const std::vector<Probe>& plain_probes() {
  static const std::vector<Probe> probes = {
      {"cpu_time", "s", "CPU time of the process during the sample, all its threads"},
      {"involuntary_switches", "1", "times the system took a core away during the sample"},
      {"steal", "s",
       "time stolen by the hypervisor from all cores of the host (samples of 10 ms and more)"},
      {"frequency", "Hz",
       "clock of the rank's current core after the sample (samples of 10 ms and more)"},
      {"page_faults", "1", "page faults of the process during the sample, all its threads"},
  };
  return probes;
}

const std::vector<Probe>& gpu_probes() {
  static const std::vector<Probe> probes = {
      {"gpu_energy", "J",
       "energy of the rank's GPU during the sample, all of the board (samples of 10 ms and more)"},
      {"gpu_clock", "Hz",
       "clock of the GPU's multiprocessors after the sample (samples of 10 ms and more)"},
      {"gpu_temperature", "degC", "temperature of the GPU after the sample (samples of 10 ms and more)"},
      {"gpu_throttle", "1",
       "NVML's bits of why the GPU's clock is held back after the sample (samples of 10 ms and more)"},
  };
  return probes;
}

bool pread_text(int fd, char* text, std::size_t size) {
  const ssize_t got = fd < 0 ? -1 : pread(fd, text, size - 1, 0);
  if (got <= 0) return false;
  text[got] = '\0';
  return true;
}

}  // namespace

Probes::Probes() : why_missing_(counters_.why_missing()) {
  stat_fd_ = open("/proc/stat", O_RDONLY | O_CLOEXEC);
  const int cpu = sched_getcpu();
  const std::string path =
      fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu < 0 ? 0 : cpu);
  frequency_fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  make_list();
}

Probes::~Probes() {
  if (stat_fd_ >= 0) close(stat_fd_);
  if (frequency_fd_ >= 0) close(frequency_fd_);
}

void Probes::make_list() {
  list_ = plain_probes();
  for (const CounterEvent& event : counters_.events())
    list_.push_back({event.name, "1", event.description + " (samples of 10 ms and more)"});
  if (gpu_) list_.insert(list_.end(), gpu_probes().begin(), gpu_probes().end());
  for (Reading* reading : {&before_, &after_}) reading->counters.resize(counters_.events().size());
}

void Probes::agree(const Communicator& world) {
  std::vector<std::string> common;
  for (const CounterEvent& event : hardware_events()) {
    const bool here = counters_.has(event.name);
    if (sum_over_ranks(world, here ? 1 : 0) == world.size()) common.push_back(event.name);
  }
  const Agreement all = dlscale::agree(world, counters_.why_missing().empty(), counters_.why_missing());
  why_missing_ = all.message;
  if (!all.ok && all.failures < world.size())
    why_missing_ += fmt::format(" on rank {}, {} of {} ranks", all.rank, all.failures, world.size());
  counters_.keep(common);
  make_list();
}

void Probes::watch_gpu() {
  gpu_ = true;
  make_list();
}

std::vector<std::string> Probes::counters() const {
  std::vector<std::string> names = {"page_faults"};
  for (const CounterEvent& event : counters_.events()) names.push_back(event.name);
  return names;
}

double Probes::steal_s() const {
  // First line: "cpu user nice system idle iowait irq softirq steal …" in clock ticks.
  std::array<char, 512> text{};
  if (!pread_text(stat_fd_, text.data(), text.size()) || std::strncmp(text.data(), "cpu ", 4) != 0)
    return not_a_number;
  const char* at = text.data() + 4;
  char* end = nullptr;
  unsigned long long ticks = 0;
  for (int field = 0; field < 8; ++field, at = end) ticks = std::strtoull(at, &end, 10);
  static const double ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
  return static_cast<double>(ticks) / ticks_per_s;
}

double Probes::frequency_hz() const {
  std::array<char, 64> text{};
  if (!pread_text(frequency_fd_, text.data(), text.size())) return not_a_number;
  const double khz = std::strtod(text.data(), nullptr);
  return khz > 0 ? 1e3 * khz : not_a_number;
}

void Probes::read(bool slow, Reading& reading) {
  timespec cpu{};
  reading.cpu_s = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0
                      ? static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)
                      : not_a_number;
  rusage usage{};
  const bool known = getrusage(RUSAGE_SELF, &usage) == 0;
  reading.switches = known ? static_cast<double>(usage.ru_nivcsw) : not_a_number;
  reading.faults =
      known ? static_cast<double>(usage.ru_minflt) + static_cast<double>(usage.ru_majflt) : not_a_number;
  if (!slow) return;
  reading.steal_s = steal_s();
  counters_.read(reading.counters);
  if (gpu_) reading.gpu = read_gpu_sensors();
}

void Probes::begin(bool slow, bool always) {
  always_ = always;
  slow_begun_ = slow || always;
  read(slow_begun_, before_);
}

void Probes::end(double sample_s, double* values) {
  const bool slow = slow_begun_ && (always_ || sample_s >= slow_from_s);
  read(slow, after_);
  values[0] = after_.cpu_s - before_.cpu_s;
  values[1] = after_.switches - before_.switches;
  values[2] = slow ? after_.steal_s - before_.steal_s : not_a_number;
  values[3] = slow ? frequency_hz() : not_a_number;
  values[4] = after_.faults - before_.faults;
  double* value = values + plain_probes().size();
  for (std::size_t i = 0; i < after_.counters.size(); ++i)
    *value++ = slow ? counted(before_.counters[i], after_.counters[i]) : not_a_number;
  if (!gpu_) return;
  const double energy_j = after_.gpu.energy_j - before_.gpu.energy_j;
  for (const double reading :
       {energy_j, after_.gpu.clock_hz, after_.gpu.temperature_c, after_.gpu.throttle_bits})
    *value++ = slow ? reading : not_a_number;
}

}  // namespace dlscale
