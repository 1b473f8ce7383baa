// SPDX-License-Identifier: BSD-3-Clause
/// A graph made ready for one batch and mode: primitives in the order they run, tensors with their
/// places.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/groups.hpp"
#include "nn/onednn/parameter_store.hpp"

namespace dlscale::nn::onednn {

/// Where a tensor lives.
enum class Home {
  arena,      ///< shared with tensors that live at other times
  owned,      ///< kept as long as the program: copies of weights, borders of zeros
  parameter,  ///< master weights of the store, bound when the store is placed
  gradient,
  statistics,  ///< a fixed place in the store
  input        ///< the caller's images
};

struct Slot {
  Desc desc;
  Home home = Home::arena;
  int parameter = -1;
  float* fixed = nullptr;
  int first = -1, last = -1;  ///< steps that touch it
  std::size_t offset = 0;
  Memory memory;
};

struct Argument {
  int key = 0, slot = -1;
  Desc desc;  ///< the slot's own, a part of it, or the same memory under other dimensions
};

/// One primitive or host operation.
struct Step {
  dnnl::primitive primitive;
  std::vector<Argument> arguments;
  Desc scratch;
  std::function<void()> host;  ///< instead of a primitive
  std::vector<int> touched;    ///< slots the host operation uses
  int piece = -1;
  Arguments bound;
};

/// Steps [begin, end) of a group in forward or backward order.
struct Stretch {
  int group = -1;
  int begin = 0, end = 0;
  int bucket_ready = -1;  ///< highest bucket complete after it; −1 none
};

/// Passes of a convolution that Winograd's algorithm computes.
struct WinogradPasses {
  bool forward = false, data = false, weights = false;
};

/// What checks look at: tensors of a group, and how they were computed.
struct GroupSlots {
  std::vector<int> inputs;
  int output = -1, output_gradient = -1;
  std::vector<int> input_gradients;  ///< this group's own contributions, one per input; −1 none
  int mean = -1, variance = -1, mask = -1;
  WinogradPasses winograd;
};

/// Results of a loaded batch, and what host operations are told.
struct StepState {
  std::span<const std::int32_t> labels;
  std::uint64_t dropout_key = 0;
  double loss = 0;
  std::int64_t correct = 0;
};

struct Program {
  int batch = 0;
  Mode mode = Mode::training;
  std::vector<Group> groups;
  std::vector<GroupSlots> group_slots;  ///< [group]
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<Stretch> forward, backward;
  std::vector<std::function<void()>> refreshes;  ///< renew copies of weights
  std::vector<LayerTime> times;                  ///< [piece]
  int input = -1, logits = -1;
  std::uint64_t version = 0;  ///< of the parameters the copies were made from
  StepState state;
  std::size_t arena_bytes = 0, scratch_bytes = 0, owned_bytes = 0;
  std::vector<Buffer<std::byte>> owned;

  /// Lifetimes and offsets; after this arena_bytes and scratch_bytes are known.
  void plan();
  /// Memory objects over the arena and scratch given, which must stay.
  void bind(std::byte* arena, std::byte* scratch, ParameterStore& store);
  /// Runs steps [begin, end).
  void run(const Stretch& stretch, bool timed);
};

/// The values of a slot on the host.
template <class T>
std::span<T> span_of(Program* program, int slot) {
  const Memory& memory = program->slots[static_cast<std::size_t>(slot)].memory;
  return {static_cast<T*>(memory.get_data_handle()), bytes_of(memory.get_desc()) / sizeof(T)};
}

/// Builds all steps; the store's layouts are claimed on the way.
std::unique_ptr<Program> build_program(const Graph& graph, const ExecutorOptions& options,
                                       ParameterStore& store, int batch, Mode mode, bool fold);

}  // namespace dlscale::nn::onednn
