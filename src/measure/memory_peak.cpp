// SPDX-License-Identifier: BSD-3-Clause
#include "measure/memory_peak.hpp"

#include <algorithm>
#include <fstream>
#include <string>

namespace dlscale {
namespace {

// A line of /proc/self/status such as "VmRSS:     1234 kB", in bytes.
std::optional<double> status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return 1024 * std::stod(line.substr(name.size() + 1));
  return std::nullopt;
}

bool reset_mark() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;  // proc(5): the peak becomes what is resident now
  return file.good();
}

}  // namespace

void MemoryPeak::begin() {
  before_ = status_bytes("VmRSS");
  if (!reset_mark()) before_.reset();
}

std::optional<double> MemoryPeak::bytes() const {
  if (!before_) return std::nullopt;
  const std::optional<double> peak = status_bytes("VmHWM");
  if (!peak) return std::nullopt;
  return std::max(0.0, *peak - *before_);
}

}  // namespace dlscale
