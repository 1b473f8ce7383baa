// SPDX-License-Identifier: BSD-3-Clause
// What all ranks but the root do.
#include "director.hpp"

namespace dlscale {

int follow(const MpiSession& session, const Plan& plan, Worker& worker) {
  while (true) {
    Command c;
    worker.wait_for_root(root_busy_s);
    broadcast_value(session.world(), c);
    worker.arrived();
    if (c.action == Action::end) return c.exit_code;
    const Case& one = plan.cases[static_cast<std::size_t>(c.case_id)];
    CaseCheck unused;
    switch (c.action) {
      case Action::prepare:
        worker.prepare(one);
        break;
      case Action::batch:
        worker.batch(one, c.batch);
        break;
      case Action::verify:
        worker.verify(one, unused);
        break;
      case Action::release:
        worker.release(one);
        break;
      case Action::clocks:
        worker.clocks();
        break;
      case Action::end:
        break;
    }
  }
}

}  // namespace dlscale
