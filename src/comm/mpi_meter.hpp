// SPDX-License-Identifier: BSD-3-Clause
/// Time that a thread spends inside MPI, in libraries that know nothing of us as well: the program
/// defines the MPI calls itself and forwards them to their PMPI_ twins (mpi_meter.cpp says which).
/// Switched off, which is the usual state, a call costs one test of a flag more.
#pragma once

#include <cstdint>

namespace dlscale {

/// What metered MPI calls of this thread took together.
struct MpiTime {
  std::int64_t ns = 0;
  std::int64_t calls = 0;
};

/// Meters MPI calls of the calling thread while it lives. An inner one leaves the switch as the outer
/// one set it.
class MpiMeter {
 public:
  MpiMeter() noexcept;
  ~MpiMeter();
  MpiMeter(const MpiMeter&) = delete;
  MpiMeter& operator=(const MpiMeter&) = delete;

  /// What the calling thread spent since its last take(), and starts again at zero.
  static MpiTime take() noexcept;

 private:
  bool was_on_;
};

/// For tests only: from now on metered calls of this process take so much longer; 0 = as they are.
void plant_mpi_delay(std::int64_t ns) noexcept;

}  // namespace dlscale
