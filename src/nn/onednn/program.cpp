// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/program.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "nn/memory_plan.hpp"

namespace dlscale::nn::onednn {
namespace {

void touch(Slot& slot, int step) {
  if (slot.first < 0) slot.first = step;
  slot.first = std::min(slot.first, step);
  slot.last = std::max(slot.last, step);
}

Memory memory_at(const Desc& desc, void* place) {
  return {desc, engine(), place};
}

}  // namespace

void Program::plan() {
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
    const Step& step = steps[static_cast<std::size_t>(i)];
    for (const Argument& a : step.arguments) touch(slots[static_cast<std::size_t>(a.slot)], i);
    for (const int slot : step.touched) touch(slots[static_cast<std::size_t>(slot)], i);
    scratch_bytes = std::max(scratch_bytes, bytes_of(step.scratch));
  }
  // What checks look at after a stretch must still be there at its end.
  const auto keep_until = [&](int slot, int step) {
    if (slot >= 0) touch(slots[static_cast<std::size_t>(slot)], step);
  };
  for (const Stretch& s : backward)
    for (const int slot : group_slots[static_cast<std::size_t>(s.group)].input_gradients)
      if (s.end > s.begin) keep_until(slot, s.end - 1);
  keep_until(logits, static_cast<int>(steps.size()) - 1);
  std::vector<Tenant> tenants;
  std::vector<std::size_t> ids;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].home != Home::arena || slots[i].first < 0) continue;
    tenants.push_back({bytes_of(slots[i].desc), slots[i].first, slots[i].last});
    ids.push_back(i);
  }
  const MemoryPlan placed = plan_memory(tenants);
  for (std::size_t i = 0; i < ids.size(); ++i) slots[ids[i]].offset = placed.offsets[i];
  arena_bytes = placed.bytes;
}

void Program::bind(std::byte* arena, std::byte* scratch, ParameterStore& store) {
  for (Slot& slot : slots) {
    void* place = nullptr;
    switch (slot.home) {
      case Home::arena:
        place = arena + slot.offset;
        break;
      case Home::owned:
        if (slot.memory) continue;
        owned.emplace_back(std::max<std::size_t>(1, bytes_of(slot.desc)));
        owned_bytes += bytes_of(slot.desc);
        std::memset(owned.back().data(), 0, owned.back().size());
        place = owned.back().data();
        break;
      case Home::parameter:
        place = store.values(slot.parameter);
        break;
      case Home::gradient:
        place = store.gradients(slot.parameter);
        break;
      case Home::statistics:
        place = slot.fixed;
        break;
      case Home::input:
        place = nullptr;
        break;
    }
    if (slot.memory)
      slot.memory.set_data_handle(place);
    else
      slot.memory = memory_at(slot.desc, place);
  }
  for (Step& step : steps) {
    step.bound.clear();
    for (const Argument& a : step.arguments) {
      const Slot& slot = slots[static_cast<std::size_t>(a.slot)];
      step.bound[a.key] =
          a.desc == slot.desc ? slot.memory : memory_at(a.desc, slot.memory.get_data_handle());
    }
    if (bytes_of(step.scratch) > 0) step.bound[DNNL_ARG_SCRATCHPAD] = memory_at(step.scratch, scratch);
  }
}

void Program::run(const Stretch& stretch, bool timed) {
  std::int64_t before = timed ? now_ns() : 0;
  for (int i = stretch.begin; i < stretch.end; ++i) {
    Step& step = steps[static_cast<std::size_t>(i)];
    if (step.host)
      step.host();
    else
      step.primitive.execute(stream(), step.bound);
    if (!timed) continue;
    const std::int64_t after = now_ns();
    if (step.piece >= 0)
      times[static_cast<std::size_t>(step.piece)].seconds += 1e-9 * static_cast<double>(after - before);
    before = after;
  }
}

}  // namespace dlscale::nn::onednn
