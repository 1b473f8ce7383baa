// SPDX-License-Identifier: BSD-3-Clause
/// How much resident memory a case needs: the kernel's high-water mark, reset before.
#pragma once

#include <optional>

namespace dlscale {

class MemoryPeak {
 public:
  /// Resident memory now is the zero; the mark is reset.
  void begin();
  /// Highest resident memory since begin(), minus what was resident then, in bytes; nothing where /proc
  /// does not tell or let us.
  std::optional<double> bytes() const;

 private:
  std::optional<double> before_;
};

}  // namespace dlscale
