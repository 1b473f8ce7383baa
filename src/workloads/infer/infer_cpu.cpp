// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/infer/infer.hpp"

namespace dlscale {
namespace {

Cost cost(const Params& params, int, int threads) {
  Cost c = network_cost(params, nn::Mode::inference);
  nn::ExecutorOptions options = network_options(params, threads, 0);
  options.trains = false;
  const nn::Graph graph = network_graph(params);
  c.memory_bytes +=
      predicted_memory(graph, options, network_batch(params), nn::Mode::inference).total() +
      4.0 * network_batch(params) * static_cast<double>(graph.shape(0).count());
  return c;
}

}  // namespace

Entry infer_cpu_entry() {
  Entry entry;
  entry.name = "infer";
  entry.variant = "cpu";
  entry.description = "forward passes of a whole network on every rank by itself, through oneDNN";
  entry.rate = RateKind::images;
  entry.keys = infer_keys();
  entry.parts = {"copy", "forward"};
  entry.examples = infer_examples;
  entry.validate = network_problem;
  entry.unavailable = network_unavailable;
  entry.cost = cost;
  entry.roofs = network_roofs;
  entry.layers = infer_layers;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<InferRun>(context, nn::make_cpu_executor);
  };
  return entry;
}

}  // namespace dlscale
