// SPDX-License-Identifier: BSD-3-Clause
/// A graph made ready for one batch and mode: what is launched in order, tensors with their places.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/matmul.hpp"
#include "cuda/nn/convolution.hpp"
#include "cuda/nn/graph_capture.hpp"
#include "cuda/nn/parameter_store.hpp"
#include "nn/groups.hpp"

namespace dlscale::cuda::dnn {

/// What all programs of an executor share.
struct Machine {
  Machine(const nn::Graph& graph, const nn::ExecutorOptions& options);

  nn::Graph graph;
  nn::ExecutorOptions options;
  Type type;
  Stream stream;
  Cudnn cudnn;
  ParameterStore store;
  DeviceBuffer<std::byte> arena, scratch;
  DeviceBuffer<std::int32_t> labels;
  DeviceBuffer<StepInputs> inputs;
  DeviceBuffer<StepResults> results;
  ConvChoices known;  ///< convolutions that have been timed
};

/// A stretch of the arena that is in use from step `first` to step `last`.
struct Slot {
  std::size_t bytes = 0;
  int first = -1, last = -1;
  std::size_t offset = 0;
};

struct Tensor {
  int slot = -1;
  Dims dims;
  Type type = Type::f32;
  explicit operator bool() const { return slot >= 0; }
};

struct Step {
  std::function<void()> launch;
  std::vector<int> touched;
  int piece = -1;
};

/// Steps [begin, end) of a group in forward or backward order.
struct Stretch {
  int group = -1;
  int begin = 0, end = 0;
  int bucket_ready = -1;  ///< highest bucket complete after it; −1 none
};

/// What checks look at.
struct GroupTensors {
  std::vector<Tensor> inputs;
  Tensor output, output_gradient;
  std::vector<Tensor> input_gradients;  ///< this group's own contributions, one per input; none: empty
  int mean = -1, variance = -1;         ///< slots, f32
  const Convolution* convolution = nullptr;
};

struct Program {
  int batch = 0;
  nn::Mode mode = nn::Mode::training;
  std::vector<nn::Group> groups;
  std::vector<GroupTensors> tensors;  ///< [group]
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<Stretch> forward, backward;
  std::vector<nn::LayerTime> times;  ///< [piece]
  Tensor input, logits;
  std::size_t arena_bytes = 0, scratch_bytes = 0;
  std::byte* arena = nullptr;

  std::vector<std::unique_ptr<Convolution>> convolutions;
  std::vector<std::unique_ptr<Product>> products;
  std::vector<DeviceBuffer<std::byte>> owned;    ///< folded weights
  std::vector<std::function<void()>> choices;    ///< times algorithms, once tensors have places
  std::vector<std::function<void()>> refreshes;  ///< renew what is computed from parameters
  std::uint64_t version = 0;                     ///< of the parameters it was computed from
  Captured captured;                             ///< a whole step, or a pass in inference

  void* at(int slot) const { return arena + slots[static_cast<std::size_t>(slot)].offset; }
  void* at(const Tensor& tensor) const { return at(tensor.slot); }
  /// Lifetimes and offsets; then arena_bytes is known. Training keeps all of the forward pass.
  void plan();
  void launch(const Stretch& stretch) const;
  std::int64_t owned_bytes() const;
};

std::unique_ptr<Program> build_program(Machine& machine, int batch, nn::Mode mode);

}  // namespace dlscale::cuda::dnn
