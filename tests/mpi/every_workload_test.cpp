// SPDX-License-Identifier: BSD-3-Clause
// Every entry of the registry: its own examples run, verify, and cost something sensible, on every rank
// count.
#include <cmath>

#include "comm/agreement.hpp"
#include "dlscale_catch.hpp"
#include "test_session.hpp"
#include "workloads/contract.hpp"

using namespace dlscale;

TEST_CASE("every workload passes its own examples on every rank") {
  const Communicator& world = test_session().world();
  int examples = 0;
  for (const Entry& entry : registry()) {
    if (entry.variant != "cpu") continue;
    for (const Params& params : entry.examples()) {
      ++examples;
      const Cost cost = entry.cost(params, world.size(), 2);
      const std::string sentence = entry.validate(params);
      bool passed = false;
      std::string what;
      try {
        WorkContext context;
        context.params = params;
        context.threads = 2;
        context.seed = 7;
        context.rank = world.rank();
        context.participants = &world;
        const auto workload = entry.make(context);
        workload->prepare();
        for (int batch = 0; batch < 2; ++batch) {
          workload->reset();
          workload->run();
          workload->run();
        }
        passed = workload->verify().passed();
      } catch (const std::exception& e) {
        what = e.what();
      }
      // Agree first, then require: a rank that fails alone must not leave the others waiting.
      const Agreement all = agree(world, passed, what);
      std::string keys;
      for (const auto& [key, value] : params.items()) keys += " " + key + "=" + to_text(value);
      CAPTURE(entry.name, keys, all.rank, all.message);
      CHECK(all.ok);
      CHECK(sentence.empty());
      for (const double number : {cost.flops, cost.bytes_touched, cost.bytes_sent, cost.memory_bytes})
        CHECK((std::isfinite(number) && number >= 0));
      for (const Key& key : entry.keys) CHECK(params.has(key.name));
    }
  }
  CHECK(examples >= 50);
}
