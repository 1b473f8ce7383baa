// SPDX-License-Identifier: BSD-3-Clause
/// What train and infer have in common: a case's model, precision and shapes.
#pragma once

#include <string>
#include <vector>

#include "nn/executor.hpp"
#include "nn/groups.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// Keys model, image, classes, batch, dtype, algorithm.
std::vector<Key> network_keys(std::int64_t default_batch);

nn::Graph network_graph(const Params& params, double dropout = -1);
nn::ExecutorOptions network_options(const Params& params, int threads, std::uint64_t seed);
int network_batch(const Params& params);

/// A sentence naming the key, or empty.
std::string network_problem(const Params& params);
/// Why this host can't run it, or empty.
std::string network_unavailable(const Params& params);

/// One step (training) or pass (inference) of the case's batch.
/// Its memory_bytes are what the library needs beside executor and data, which the caller adds.
Cost network_cost(const Params& params, nn::Mode mode);
std::vector<Piece> network_layers(const Params& params, nn::Mode mode);
/// FMA peak and memory bandwidth.
std::vector<Roof> network_roofs(const Params& params);

/// Seconds of the executor's pieces since the last call, in network_layers' order.
void take_layer_times(nn::Executor& executor, std::span<double> seconds);

/// How exact a device computes, for the tolerances, and whose library it is.
struct NetworkDevice {
  const char* library = "oneDNN";
  double u_acc = 0x1p-24;            ///< of accumulation
  double u_conv_gradient = 0x1p-24;  ///< of stored gradients of convolutions' weights
};

/// Runs one more step of the loaded batch (training: forward and backward) and compares every layer of
/// it with float64; error is the worst error / tolerance.
Check check_layers(const nn::Graph& graph, nn::Executor& executor, int batch, nn::Mode mode,
                   std::span<const std::int32_t> labels, const Params& params, std::uint64_t seed,
                   const NetworkDevice& device = {});

}  // namespace dlscale
