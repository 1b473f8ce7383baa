// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/train/train_run.hpp"

namespace dlscale {

Entry train_cpu_entry() {
  Entry entry;
  entry.name = "train";
  entry.variant = "cpu";
  entry.description =
      "training steps of a whole network, on every rank by itself or on all together, through oneDNN";
  entry.rate = RateKind::images;
  entry.keys = train_keys();
  entry.parts = {nn::step_part_names.begin(), nn::step_part_names.end()};
  entry.epochs = train_epochs();
  entry.examples = train_examples;
  entry.validate = train_validate;
  entry.distributed = train_is_parallel;
  entry.single = train_is_parallel;  // what happens in a step is seen step by step
  entry.unsuited = train_unsuited;
  entry.buckets = train_buckets;
  entry.unavailable = [](const Params& params) {
    const std::string problem = network_unavailable(params);
    return problem.empty() ? overlap_unavailable(params) : problem;
  };
  entry.cost = train_cost;
  entry.roofs = network_roofs;
  entry.layers = train_layers;
  entry.block_samples = train_block_samples;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<TrainRun>(context, nn::make_cpu_executor);
  };
  return entry;
}

}  // namespace dlscale
