// SPDX-License-Identifier: BSD-3-Clause
/// How long a launch took until main(), and MPI_Init: what a slow start at many ranks is made of.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace dlscale {

/// One rank's start.
struct StartTimes {
  std::int64_t main_ns = 0;  ///< beginning of main(), ns since the epoch by the host's own clock
  double loading_s = 0;  ///< from the process's creation to main(): exec and the loading of libraries,
                         ///< to 10 ms; NaN where /proc does not tell
  double mpi_init_s = 0;
};

/// First thing of main(): takes the times of this process up to here.
void note_main_begins() noexcept;

/// What note_main_begins() saw, with mpi_init_s = 0.
StartTimes start_times();

/// DLSCALE_LAUNCH_NS: ns since the epoch, at most a day before `main_ns` and not after it. Anything
/// else, nullptr included, is no launch time. Pure.
std::optional<std::int64_t> launch_time(const char* text, std::int64_t main_ns);

/// The "start" object of /system/environment (docs/file-format.md); null for what is unknown. Pure.
/// `ranks`: one per rank, in rank order.
nlohmann::json start_json(std::optional<std::int64_t> launch_ns, const std::vector<StartTimes>& ranks);

}  // namespace dlscale
