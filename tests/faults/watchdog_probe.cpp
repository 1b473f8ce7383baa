// SPDX-License-Identifier: BSD-3-Clause
// A run that goes wrong in a chosen way, for tests/faults/watchdog.sh.
// Usage: watchdog_probe MODE RANK PATIENCE_S
//   pass        nothing goes wrong
//   stop        RANK stops (SIGSTOP) before it arrives at what the others wait for
//   work        RANK works for ever
//   collective  RANK stops inside a collective in which all work
//   fatal       RANK fails inside run()
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "comm/agreement.hpp"
#include "comm/watchdog.hpp"
#include "comm/watchdog_exit.hpp"

using namespace dlscale;

namespace {

std::string host_name() {
  char name[256] = "unknown";
  if (gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

Watchdog::Setup setup_of(const Communicator& world, double patience_s) {
  Watchdog::Setup setup{.rank = world.rank(),
                        .size = world.size(),
                        .patience_s = patience_s,
                        .hosts = {},
                        .on_expired = {},
                        .on_fatal = {}};
  for (int deputy = 0; deputy < std::min(2, world.size()); ++deputy) {
    auto hosts = gather_texts(world, host_name(), deputy);
    if (world.rank() == deputy) setup.hosts = std::move(hosts);
  }
  setup.on_expired = [](const std::string&) { watchdog::print_line("root closed its file"); };
  setup.on_fatal = [](int rank, const std::string& message) {
    watchdog::print_line(fmt::format("root closed its file for rank {}: {}", rank, message));
  };
  return setup;
}

void start(Watchdog& dog, const Communicator& world) {
  WatchdogAddress first = dog.address(), second = dog.address();
  broadcast_value(world, first, 0);
  broadcast_value(world, second, std::min(1, world.size() - 1));
  dog.start(first, second);
}

void go_wrong(const std::string& mode, Watchdog& dog) {
  if (mode == "stop") raise(SIGSTOP);
  if (mode == "work") {
    dog.working("run of case 4", 4, 1000);
    for (;;) watchdog::sleep_s(1000);
  }
  if (mode == "fatal") dog.fatal("case 4: the GPU fell off the bus");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string mode = argv[1];
  const MpiSession session;
  const auto& world = session.world();
  const bool chosen = world.rank() == std::atoi(argv[2]);
  Watchdog dog(setup_of(world, std::atof(argv[3])));
  start(dog, world);
  dog.working("run of case 3", 3, 0);
  watchdog::sleep_s(0.3);
  if (chosen) go_wrong(mode, dog);
  if (mode == "collective") {
    dog.working("run of case 4", 4, 0);
    if (chosen) raise(SIGSTOP);
    DLSCALE_MPI(MPI_Barrier(world.get()));
  }
  const WaitScope wait(dog, 7, 0, "gather of case 4");
  return agree(world, true, "").ok ? 0 : 1;
}
