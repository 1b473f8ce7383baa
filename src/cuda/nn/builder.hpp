// SPDX-License-Identifier: BSD-3-Clause
/// From layers to what is launched for them.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/nn/program.hpp"
#include "nn/gpu_memory.hpp"

namespace dlscale::cuda::dnn {

/// Most scratch memory that an algorithm may ask for.
constexpr auto most_workspace_bytes = static_cast<std::size_t>(nn::gpu_workspace_bytes);
/// Bytes that divide every address of a tensor or parameter: 64 in the arena and of f32 parameters, 32
/// of their copies in bf16.
constexpr std::size_t place_alignment = 32;

PoolWindow pool_window(const nn::Window& window);

class Builder {
 public:
  Builder(Program& program, Machine& machine);
  void forward();
  void backward();

 private:
  /// What the backward pass of a group needs of its forward pass.
  struct Made {
    Convolution* conv = nullptr;
    Tensor source;  ///< as it was read: padded for a convolution
    int places = -1;
    Tensor loss_gradient;
    bool alias = false;  ///< output is the input
  };

  // builder.cpp
  Tensor tensor(const nn::Shape& shape, Type type);
  Tensor tensor(const nn::Shape& shape) { return tensor(shape, machine_.type); }
  int raw(std::size_t bytes);
  void emit(std::function<void()> launch, std::vector<int> touched, const char* name = "dlscale");
  void choose(std::function<void()> choice) { program_.choices.push_back(std::move(choice)); }
  void begin_piece(const nn::Group& group, nn::Pass pass);
  void name_piece(int piece, const std::string& name);
  void need_scratch(std::size_t bytes);
  Product* product(const ProductShape& shape, bool wide_output);
  /// So many values in the type of the activations, renewed when parameters change; `values` gives them
  /// in the order of the device.
  const void* owned(std::size_t count, std::function<std::vector<float>()> values);

  // forward_builder.cpp
  void forward_group(int index);
  void conv_forward(const nn::Group& group, Made& made);
  void dense_forward(const nn::Group& group, Made& made);
  void norm_forward(const nn::Group& group, int index);
  void pool_forward(const nn::Group& group, Made& made);
  void move_forward(const nn::Group& group, Made& made);  ///< relu, dropout, add, concat, zero_pad
  void loss_forward(const nn::Group& group, Made& made);
  /// Weights and bias of a convolution and its batch norm, in the type of the activations.
  std::pair<const void*, const void*> folded(const nn::Layer& conv, const nn::Group& group);

  // backward_builder.cpp
  void backward_group(int index);
  void conv_backward(const nn::Group& group, const Made& made);
  void dense_backward(const nn::Group& group, const Made& made);
  void norm_backward(const nn::Group& group, int index);
  void pool_backward(const nn::Group& group, const Made& made);
  void move_backward(const nn::Group& group, const Made& made);
  Tensor output_gradient(const nn::Group& group);  ///< behind the group's ReLU
  void bias_gradient(const nn::Layer& layer, const Tensor& dy);
  void contribute(const nn::Group& group, std::size_t input, const Tensor& own);

  const nn::Layer& layer(int id) const { return machine_.graph.layer(id); }
  Tensor& value(int id) { return values_[static_cast<std::size_t>(id)]; }
  Tensor& gradient(int id) { return gradients_[static_cast<std::size_t>(id)]; }
  GroupTensors& views(const nn::Group& group);
  bool training() const { return program_.mode == nn::Mode::training; }
  bool winograd() const { return machine_.options.algorithm == "winograd"; }

  Program& program_;
  Machine& machine_;
  std::vector<Tensor> values_, gradients_;  ///< [layer]
  std::vector<Made> made_;                  ///< [group]
  int piece_ = -1;
};

}  // namespace dlscale::cuda::dnn
