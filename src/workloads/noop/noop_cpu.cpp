// SPDX-License-Identifier: BSD-3-Clause
/// Nothing, or a wait on one chosen rank or node: the harness's own cost, and the proof that a slow one
/// is seen.
#include <algorithm>
#include <limits>

#include "base/clock.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

class Noop final : public Workload {
 public:
  explicit Noop(const WorkContext& context) {
    const auto rank = context.params.integer("delay_rank");
    const auto node = context.params.integer("delay_node");
    const bool chosen = (rank < 0 && node < 0) || rank == context.rank || node == context.node;
    delay_ns_ = chosen ? static_cast<std::int64_t>(1e9 * context.params.number("delay")) : 0;
  }

  void prepare() override {}

  void run() override {
    if (delay_ns_ == 0) return;
    // Busy, as a slow kernel would be; sleeping would add the timer's slack.
    const std::int64_t start = now_ns();
    std::int64_t waited = 0;
    do waited = now_ns() - start;
    while (waited < delay_ns_);
    shortest_ns_ = std::min(shortest_ns_, waited);
  }

  Check verify() override {
    const double missing = delay_ns_ == 0 ? 0.0 : static_cast<double>(delay_ns_ - shortest_ns_);
    return {.error = std::max(0.0, 1e-9 * missing),
            .tolerance = 0,
            .method = "waited at least as long as asked"};
  }

 private:
  std::int64_t delay_ns_ = 0;
  std::int64_t shortest_ns_ = std::numeric_limits<std::int64_t>::max();
};

std::vector<Params> examples() {
  std::vector<Params> list(3);
  for (Params& p : list) {
    p.set("delay", 0.0);
    p.set("delay_rank", std::int64_t{-1});
    p.set("delay_node", std::int64_t{-1});
  }
  list[1].set("delay", 2e-4);
  list[2].set("delay", 1e-4);
  list[2].set("delay_rank", std::int64_t{0});
  return list;
}

std::string validate(const Params&) {
  return {};
}

Cost cost(const Params&, int, int) {
  return {};
}

}  // namespace

Entry noop_cpu_entry() {
  Entry entry;
  entry.name = "noop";
  entry.variant = "cpu";
  entry.description = "nothing, or a wait on one rank or node: what the harness itself costs";
  entry.rate = RateKind::time;
  entry.keys = {
      {"delay", 0.0, "seconds to wait in each repetition", 0.0, 3600.0, {}},
      {"delay_rank",
       std::int64_t{-1},
       "only this rank waits; -1 = no choice by rank",
       -1.0,
       2147483647.0,
       {}},
      {"delay_node",
       std::int64_t{-1},
       "only ranks of this node wait; -1 = no choice by node",
       -1.0,
       2147483647.0,
       {}},
  };
  entry.examples = examples;
  entry.validate = validate;
  entry.cost = cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<Noop>(context);
  };
  return entry;
}

}  // namespace dlscale
