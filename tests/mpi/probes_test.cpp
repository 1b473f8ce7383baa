// SPDX-License-Identifier: BSD-3-Clause
// All ranks have the same probes, whatever their hosts offer.
#include "measure/probes.hpp"
#include "comm/agreement.hpp"
#include "dlscale_catch.hpp"
#include "test_session.hpp"

using namespace dlscale;

TEST_CASE("the list of probes is agreed on") {
  const Communicator& world = test_session().world();
  Probes probes;
  probes.agree(world);
  std::string names;
  for (const Probe& probe : probes.list()) names += probe.name + " ";
  std::string of_root = names;
  broadcast_bytes(world, of_root);
  CHECK(names == of_root);
  CHECK(names.find("page_faults") != std::string::npos);
  // What is missing is said, the same everywhere.
  const bool all_there = probes.counters().size() == 1 + hardware_events().size();
  CHECK(probes.why_missing().empty() == all_there);
  std::string why = probes.why_missing();
  broadcast_bytes(world, why);
  CHECK(why == probes.why_missing());
}
