// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/builder.hpp"

#include <algorithm>

namespace dlscale::nn::onednn {

Builder::Builder(Program& program, const Graph& graph, const ExecutorOptions& options,
                 ParameterStore& store, bool fold)
    : program_(program),
      graph_(graph),
      options_(options),
      store_(store),
      type_(type_of(options.precision)),
      values_(graph.layers().size()),
      gradients_(graph.layers().size()) {
  program_.groups = fuse(graph, program.mode, fold);
  program_.group_slots.resize(program_.groups.size());
  made_.resize(program_.groups.size());
  for (const StepPiece& piece : step_pieces(graph, options.precision, program.batch, program.mode, fold))
    program_.times.push_back({.name = piece.name,
                              .layer = piece.layer,
                              .flops = piece.flops,
                              .bytes = piece.bytes,
                              .implementation = {},
                              .seconds = 0});
}

Builder::Tensor Builder::make_tensor(const Desc& desc, Home home) {
  Slot slot;
  slot.desc = desc;
  slot.home = home;
  program_.slots.push_back(slot);
  return {static_cast<int>(program_.slots.size()) - 1, desc};
}

GroupSlots& Builder::views(const Group& group) {
  const auto at = std::find_if(program_.groups.begin(), program_.groups.end(),
                               [&](const Group& g) { return g.head == group.head; });
  return program_.group_slots[static_cast<std::size_t>(at - program_.groups.begin())];
}

// The master weights themselves, if the layout is theirs; else a copy that is renewed after updates.
Builder::Tensor Builder::parameter(int index, const Desc& desc) {
  if (type_in(desc) == Type::f32 && training()) store_.claim(index, desc);
  if (store_.layout(index) == desc) {
    const Tensor tensor = make_tensor(desc, Home::parameter);
    slot(tensor).parameter = index;
    return tensor;
  }
  const Tensor copied = make_tensor(desc, Home::owned);
  Program* program = &program_;
  ParameterStore* store = &store_;
  program_.refreshes.push_back([program, store, index, at = copied.slot] {
    copy(Memory(store->layout(index), engine(), store->values(index)),
         program->slots[static_cast<std::size_t>(at)].memory);
  });
  return copied;
}

Builder::Tensor Builder::computed(const Desc& desc, const Desc& canonical,
                                  std::function<std::vector<float>()> values) {
  const Tensor target = make_tensor(desc, Home::owned);
  Program* program = &program_;
  program_.refreshes.push_back([program, canonical, values = std::move(values), at = target.slot] {
    std::vector<float> now = values();
    copy(Memory(canonical, engine(), now.data()), program->slots[static_cast<std::size_t>(at)].memory);
  });
  return target;
}

Builder::Tensor Builder::ensure(const Tensor& tensor, const Desc& desc) {
  if (tensor.desc == desc) return tensor;
  const Tensor target = make_tensor(desc);
  const auto pd = reorder(tensor.desc, desc);
  emit(pd, dnnl::reorder(pd), {argument(DNNL_ARG_FROM, tensor), argument(DNNL_ARG_TO, target)});
  return target;
}

void Builder::host(std::function<void()> action, std::vector<int> touched) {
  Step step;
  step.host = std::move(action);
  step.touched = std::move(touched);
  step.piece = piece_;
  if (piece_ >= 0) {
    std::string& name = program_.times[static_cast<std::size_t>(piece_)].implementation;
    if (name.empty()) name = "dlscale";
  }
  program_.steps.push_back(std::move(step));
}

void Builder::begin_piece(const Group& group, Pass pass) {
  static constexpr const char* suffixes[] = {" forward", " backward", " backward data",
                                             " backward weights"};
  const std::string name = layer(group.head).name + suffixes[static_cast<int>(pass)];
  const auto at = std::find_if(program_.times.begin(), program_.times.end(),
                               [&](const LayerTime& t) { return t.name == name; });
  piece_ = at == program_.times.end() ? -1 : static_cast<int>(at - program_.times.begin());
}

std::unique_ptr<Program> build_program(const Graph& graph, const ExecutorOptions& options,
                                       ParameterStore& store, int batch, Mode mode, bool fold) {
  auto program = std::make_unique<Program>();
  program->batch = batch;
  program->mode = mode;
  call("preparing the network", [&] {
    Builder builder(*program, graph, options, store, fold);
    builder.forward();
    if (mode == Mode::training) builder.backward();
  });
  program->plan();
  return program;
}

}  // namespace dlscale::nn::onednn
