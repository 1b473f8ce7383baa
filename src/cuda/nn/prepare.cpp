// SPDX-License-Identifier: BSD-3-Clause
// What is there before a step: programs with their memory and algorithms, and what is known of them.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cuda/nn/builder.hpp"
#include "cuda/nn/cudnn_executor.hpp"

namespace dlscale::cuda::dnn {

void CudnnExecutor::prepare(int batch, nn::Mode mode) {
  if (mode == nn::Mode::training && !machine_.options.trains)
    throw Error(ExitCode::case_failed, "an executor without gradients can't train");
  std::unique_ptr<Program>& program = programs_[{batch, mode}];
  if (program) return;
  machine_.stream.wait();
  auto made = build_program(machine_, batch, mode);
  find_ready_buckets(*made);
  program = std::move(made);
  place();
  refresh(*program);
  // Algorithms are timed with as much scratch memory as there may be; kept is what the chosen ones need.
  std::size_t left = 0, whole = 0;
  DLSCALE_CUDA(cudaMemGetInfo(&left, &whole));
  std::size_t most = std::max(program->scratch_bytes, std::min(most_workspace_bytes, left / 2));
  for (const auto& [shape, choice] : machine_.known) most = std::max(most, choice.workspace_bytes);
  if (machine_.scratch.size() < most) {
    machine_.scratch = {};
    machine_.scratch = DeviceBuffer<std::byte>(most);
  }
  for (const auto& choice : program->choices) choice();
  machine_.stream.wait();
  std::size_t needed = 1;
  for (const auto& [key, each] : programs_)
    if (each) needed = std::max(needed, each->scratch_bytes);
  machine_.scratch = {};
  machine_.scratch = DeviceBuffer<std::byte>(needed);
}

// One arena for all programs: only one of them is in use at a time.
void CudnnExecutor::place() {
  std::size_t arena = 1, labels = 1, values = 1;
  for (const auto& [key, program] : programs_) {
    if (!program) continue;
    arena = std::max(arena, program->arena_bytes);
    labels = std::max(labels, static_cast<std::size_t>(program->batch));
    values = std::max(values, program->input.dims.count());
  }
  if (machine_.arena.size() < arena) {
    machine_.arena = {};
    machine_.arena = DeviceBuffer<std::byte>(arena);
  }
  if (machine_.labels.size() < labels) machine_.labels = DeviceBuffer<std::int32_t>(labels);
  queue_.reserve(values, labels);
  for (const auto& [key, program] : programs_) {
    if (!program) continue;
    program->arena = machine_.arena.data();
    program->captured.forget();
  }
  current_ = nullptr;
}

// A bucket is complete after the group of its first layer: members are in reverse order of use.
void CudnnExecutor::find_ready_buckets(Program& program) const {
  const std::vector<nn::Bucket>& buckets = machine_.store.buckets();
  for (int b = 0; b < static_cast<int>(buckets.size()); ++b) {
    const int parameter = buckets[static_cast<std::size_t>(b)].members.back();
    const int layer = machine_.graph.parameters()[static_cast<std::size_t>(parameter)].layer;
    for (Stretch& s : program.backward)
      if (program.groups[static_cast<std::size_t>(s.group)].head == layer)
        s.bucket_ready = std::max(s.bucket_ready, b);
  }
}

std::int64_t CudnnExecutor::memory_bytes() const {
  std::int64_t bytes = machine_.store.memory_bytes() + queue_.memory_bytes() +
                       static_cast<std::int64_t>(machine_.arena.bytes() + machine_.scratch.bytes() +
                                                 machine_.labels.bytes());
  for (const auto& [key, program] : programs_)
    if (program) bytes += program->owned_bytes();
  return bytes;
}

std::string CudnnExecutor::facts() const {
  int runtime = 0;
  DLSCALE_CUDA(cudaRuntimeGetVersion(&runtime));
  nlohmann::json facts{{"library", fmt::format("cuDNN {}, cuBLASLt {}, CUDA {}", cudnnGetVersion(),
                                               cublasLtGetVersion(), runtime)},
                       {"layout", "nhwc"},
                       {"scratch_bytes", machine_.scratch.bytes()}};
  nlohmann::json kernels = nlohmann::json::object();
  for (const auto& [key, program] : programs_) {
    if (!program ||
        program->mode != (machine_.options.trains ? nn::Mode::training : nn::Mode::inference))
      continue;
    for (const nn::LayerTime& t : program->times)
      if (t.flops > 0) kernels[t.name] = t.implementation;
    facts["graph_nodes"] = program->captured.used() ? program->captured.nodes() : 0;
    if (!program->captured.problem().empty()) facts["graph_problem"] = program->captured.problem();
    break;
  }
  facts["kernels"] = kernels;
  return facts.dump();
}

}  // namespace dlscale::cuda::dnn
