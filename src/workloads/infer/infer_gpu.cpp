// SPDX-License-Identifier: BSD-3-Clause
// The pure half of infer on a GPU.
#include "nn/gpu_memory.hpp"
#include "workloads/gpu_workload.hpp"
#include "workloads/infer/infer.hpp"
#include "workloads/network_gpu.hpp"

namespace dlscale {
namespace {

Cost cost(const Params& params, int, int threads) {
  Cost c = network_cost(params, nn::Mode::inference);
  nn::ExecutorOptions options = network_options(params, threads, 0);
  options.trains = false;
  c.memory_bytes = nn::predicted_gpu_memory(network_graph(params), options, network_batch(params),
                                            nn::Mode::inference)
                       .total();
  return c;
}

}  // namespace

Entry infer_cuda_entry() {
  Entry entry;
  entry.name = "infer";
  entry.variant = "cuda";
  entry.description = "forward passes of a whole network on every GPU by itself, through cuDNN";
  entry.rate = RateKind::images;
  entry.keys = gpu_network_keys(infer_keys());
  entry.parts = {"copy", "forward"};
  entry.examples = infer_examples;
  entry.validate = network_problem;
  entry.cost = cost;
  entry.roofs = gpu_network_roofs;
  entry.layers = infer_layers;
  entry.make = [](const WorkContext& context) { return make_on_gpu("infer", context); };
  return entry;
}

}  // namespace dlscale
