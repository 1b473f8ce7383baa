// SPDX-License-Identifier: BSD-3-Clause
// The pure half of train on a GPU.
#include <algorithm>

#include "nn/gpu_memory.hpp"
#include "nn/trainer.hpp"
#include "workloads/gpu_workload.hpp"
#include "workloads/network_gpu.hpp"
#include "workloads/train/data_parallel_mpi.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {
namespace {

Cost cost_of_one(const Params& params, int threads) {
  Cost cost = network_cost(params, nn::Mode::training);
  const nn::Graph graph = network_graph(params);
  const nn::ExecutorOptions options = train_options(params, threads, 0);
  const nn::MemoryEstimate step =
      nn::predicted_gpu_memory(graph, options, network_batch(params), nn::Mode::training);
  cost.memory_bytes = step.total();
  if (!params.boolean("whole_epochs")) return cost;
  const nn::MemoryEstimate test =
      nn::predicted_gpu_memory(graph, options, train_test_batch(params), nn::Mode::inference);
  cost.memory_bytes += test.copies + std::max(0.0, test.arena - step.arena);
  return cost;
}

std::vector<Key> keys() {
  std::vector<Key> list = gpu_network_keys(train_keys());
  list.push_back({"implementation",
                  std::string("nccl"),
                  "of the sums of gradients: nccl = on the GPUs, mpi = on the host",
                  {},
                  {},
                  {"nccl", "mpi"}});
  return list;
}

// Those of the CPU; of every second that sums gradients it is MPI that does.
std::vector<Params> examples() {
  std::vector<Params> list = train_examples();
  int parallel = 0;
  for (Params& p : list)
    p.set("implementation", std::string(train_is_parallel(p) && ++parallel % 2 == 0 ? "mpi" : "nccl"));
  return list;
}

// MPI's threads are of no concern to NCCL.
std::string unavailable(const Params& params) {
  return params.text("implementation") == "nccl" ? std::string() : overlap_unavailable(params);
}

Cost cost(const Params& params, int ranks, int threads) {
  const Cost one = cost_of_one(train_of_one_rank(params, ranks), threads);
  return train_is_parallel(params) ? over_all_ranks(one, params, ranks) : one;
}

}  // namespace

Entry train_cuda_entry() {
  Entry entry;
  entry.name = "train";
  entry.variant = "cuda";
  entry.description =
      "training steps of a whole network, on every GPU by itself or on all together, through cuDNN; "
      "gradients are summed by NCCL, or by MPI on the host";
  entry.rate = RateKind::images;
  entry.keys = keys();
  entry.parts = {nn::step_part_names.begin(), nn::step_part_names.end()};
  entry.epochs = train_epochs();
  entry.examples = examples;
  entry.validate = train_validate;
  entry.distributed = train_is_parallel;
  entry.single = train_is_parallel;  // what happens in a step is seen step by step
  entry.unsuited = train_unsuited;
  entry.buckets = train_buckets;
  entry.unavailable = unavailable;
  entry.cost = cost;
  entry.roofs = gpu_network_roofs;
  entry.layers = train_layers;
  entry.block_samples = train_block_samples;
  entry.make = [](const WorkContext& context) { return make_on_gpu("train", context); };
  return entry;
}

}  // namespace dlscale
