// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/program.hpp"

#include <algorithm>

#include "nn/memory_plan.hpp"

namespace dlscale::cuda::dnn {

Machine::Machine(const nn::Graph& network, const nn::ExecutorOptions& asked)
    : graph(network),
      options(asked),
      type(asked.precision == nn::Precision::bf16 ? Type::bf16 : Type::f32),
      store(graph, options, stream),
      inputs(1),
      results(1) {
  DLSCALE_CUDA(cudnnSetStream(cudnn.get(), stream.get()));
  results.set_bytes(0, stream);
  inputs.set_bytes(0, stream);
}

void Program::plan() {
  const auto touch = [&](int slot, int step) {
    Slot& s = slots[static_cast<std::size_t>(slot)];
    s.first = s.first < 0 ? step : std::min(s.first, step);
    s.last = std::max(s.last, step);
  };
  const int all = std::max(1, static_cast<int>(steps.size()));
  for (int i = 0; i < static_cast<int>(steps.size()); ++i)
    for (const int slot : steps[static_cast<std::size_t>(i)].touched) touch(slot, i);
  touch(input.slot, 0);
  touch(logits.slot, all - 1);
  // Outputs stay for the backward pass and for its check; a group's gradients until it is done.
  const int forward_end = forward.empty() ? 0 : forward.back().end;
  if (mode == nn::Mode::training)
    for (Slot& s : slots)
      if (s.first >= 0 && s.first < forward_end) s.last = all - 1;
  for (const Stretch& s : backward)
    for (const Tensor& t : tensors[static_cast<std::size_t>(s.group)].input_gradients)
      if (t && s.end > s.begin) touch(t.slot, s.end - 1);
  std::vector<nn::Tenant> tenants;
  for (const Slot& s : slots)
    tenants.push_back({s.first < 0 ? 0 : s.bytes, std::max(s.first, 0), s.last});
  const nn::MemoryPlan placed = nn::plan_memory(tenants);
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i].offset = placed.offsets[i];
  arena_bytes = placed.bytes;
}

void Program::launch(const Stretch& stretch) const {
  for (int i = stretch.begin; i < stretch.end; ++i) steps[static_cast<std::size_t>(i)].launch();
}

std::int64_t Program::owned_bytes() const {
  std::size_t bytes = 0;
  for (const DeviceBuffer<std::byte>& buffer : owned) bytes += buffer.bytes();
  for (const auto& product : products) bytes += product->facts().workspace_bytes;
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dlscale::cuda::dnn
