// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/collective/collective_mpi.hpp"

namespace dlscale {

Entry collective_cpu_entry() {
  Entry entry;
  entry.name = "collective";
  entry.variant = "cpu";
  entry.description =
      "a collective operation between host memories; its rate is the bus bandwidth of nccl-tests";
  entry.rate = RateKind::bus;
  entry.distributed = [](const Params&) { return true; };
  entry.keys = collective_keys({"mpi"});
  entry.examples = [] { return collective_examples("mpi"); };
  entry.validate = collective_validate;
  entry.cost = collective_cost;
  entry.roofs = [](const Params&) { return collective_roofs(); };
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    const std::string& dtype = context.params.text("dtype");
    if (dtype == "f64") return std::make_unique<CollectiveMpi<double>>(context);
    if (dtype == "f32") return std::make_unique<CollectiveMpi<float>>(context);
    return std::make_unique<CollectiveMpi<Bf16>>(context);
  };
  return entry;
}

}  // namespace dlscale
