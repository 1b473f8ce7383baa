// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/builder.hpp"

#include <algorithm>

namespace dlscale::cuda::dnn {

PoolWindow pool_window(const nn::Window& w) {
  return {static_cast<int>(w.kernel_h), static_cast<int>(w.kernel_w), static_cast<int>(w.stride_h),
          static_cast<int>(w.stride_w), static_cast<int>(w.pad_top),  static_cast<int>(w.pad_left)};
}

Builder::Builder(Program& program, Machine& machine)
    : program_(program),
      machine_(machine),
      values_(machine.graph.layers().size()),
      gradients_(machine.graph.layers().size()) {
  const nn::ExecutorOptions& options = machine.options;
  program_.groups = nn::fuse(machine.graph, program.mode, options.fold);
  program_.tensors.resize(program_.groups.size());
  made_.resize(program_.groups.size());
  for (const nn::StepPiece& piece :
       nn::step_pieces(machine.graph, options.precision, program.batch, program.mode, options.fold))
    program_.times.push_back({.name = piece.name,
                              .layer = piece.layer,
                              .flops = piece.flops,
                              .bytes = piece.bytes,
                              .implementation = {},
                              .seconds = 0});
}

Tensor Builder::tensor(const nn::Shape& shape, Type type) {
  Tensor t;
  t.dims = dims_of(program_.batch, shape);
  t.type = type;
  t.slot = raw(t.dims.count() * bytes_of(type));
  return t;
}

int Builder::raw(std::size_t bytes) {
  program_.slots.push_back({.bytes = bytes});
  return static_cast<int>(program_.slots.size()) - 1;
}

void Builder::emit(std::function<void()> launch, std::vector<int> touched, const char* name) {
  program_.steps.push_back({std::move(launch), std::move(touched), piece_});
  if (piece_ >= 0 && program_.times[static_cast<std::size_t>(piece_)].implementation.empty())
    name_piece(piece_, name);
}

void Builder::name_piece(int piece, const std::string& name) {
  if (piece >= 0) program_.times[static_cast<std::size_t>(piece)].implementation = name;
}

void Builder::begin_piece(const nn::Group& group, nn::Pass pass) {
  static constexpr const char* suffixes[] = {" forward", " backward", " backward data",
                                             " backward weights"};
  const std::string name = layer(group.head).name + suffixes[static_cast<int>(pass)];
  const auto at = std::find_if(program_.times.begin(), program_.times.end(),
                               [&](const nn::LayerTime& t) { return t.name == name; });
  piece_ = at == program_.times.end() ? -1 : static_cast<int>(at - program_.times.begin());
}

void Builder::need_scratch(std::size_t bytes) {
  program_.scratch_bytes = std::max(program_.scratch_bytes, bytes);
}

// Column-major, as everywhere in cuBLAS: a row-major matrix is its transpose there.
Product* Builder::product(const ProductShape& shape, bool wide_output) {
  ProductTypes types = product_types(machine_.type == Type::bf16 ? "bf16" : "f32");
  if (wide_output) {
    types.output = Element::f32;
    types.output_type = CUDA_R_32F;
  }
  program_.products.push_back(std::make_unique<Product>(shape, types, 1.0, 0.0));
  return program_.products.back().get();
}

const void* Builder::owned(std::size_t count, std::function<std::vector<float>()> values) {
  program_.owned.emplace_back(bytes_for(count, bytes_of(machine_.type)));
  void* to = program_.owned.back().data();
  Machine* m = &machine_;
  program_.refreshes.push_back([m, to, count, values = std::move(values)] {
    const std::vector<float> now = values();
    DeviceBuffer<float> staged(count);
    staged.write(now, m->stream);
    convert(Type::f32, staged.data(), m->type, to, count, m->stream);
    m->stream.wait();
  });
  return to;
}

GroupTensors& Builder::views(const nn::Group& group) {
  const auto at = std::find_if(program_.groups.begin(), program_.groups.end(),
                               [&](const nn::Group& g) { return g.head == group.head; });
  return program_.tensors[static_cast<std::size_t>(at - program_.groups.begin())];
}

std::unique_ptr<Program> build_program(Machine& machine, int batch, nn::Mode mode) {
  auto program = std::make_unique<Program>();
  program->batch = batch;
  program->mode = mode;
  Builder builder(*program, machine);
  builder.forward();
  if (mode == nn::Mode::training) builder.backward();
  program->plan();
  return program;
}

}  // namespace dlscale::cuda::dnn
