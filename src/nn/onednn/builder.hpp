// SPDX-License-Identifier: BSD-3-Clause
/// From layers to steps. Tensors keep the layout in which they were produced; a reorder is added only
/// where the next primitive wants another one.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/onednn/program.hpp"
#include "nn/winograd.hpp"

namespace dlscale::nn::onednn {

class Builder {
 public:
  Builder(Program& program, const Graph& graph, const ExecutorOptions& options, ParameterStore& store,
          bool fold);
  void forward();
  void backward();

 private:
  /// A slot in a layout.
  struct Tensor {
    int slot = -1;
    Desc desc;
    explicit operator bool() const { return slot >= 0; }
  };
  /// What the backward pass of a group needs of its forward pass.
  struct Made {
    std::optional<ConvForward> conv;
    std::optional<DenseForward> dense;
    std::optional<NormForward> norm;
    std::optional<PoolForward> pool;
    Algorithm pool_algorithm = Algorithm::undef;
    PoolFacts pool_facts;
    std::optional<ReluForward> relu;
    Tensor source;  ///< as the primitive read it, perhaps reordered
    Tensor mean, variance, workspace, mask, loss_gradient;
    bool alias = false;  ///< output is the input
    WinogradPasses winograd;
  };

  // Slots and steps (builder.cpp).
  Tensor make_tensor(const Desc& desc, Home home = Home::arena);
  Tensor parameter(int index, const Desc& desc);  ///< in this layout: the master or a copy
  /// A copy whose values are computed from several parameters, canonical.
  Tensor computed(const Desc& desc, const Desc& canonical, std::function<std::vector<float>()> values);
  Tensor ensure(const Tensor& tensor, const Desc& desc);  ///< reordered if need be
  template <class Descriptor>
  void emit(const Descriptor& descriptor, dnnl::primitive primitive, std::vector<Argument> arguments);
  void host(std::function<void()> action, std::vector<int> touched);
  void begin_piece(const Group& group, Pass pass);
  static Argument argument(int key, const Tensor& tensor) { return {key, tensor.slot, tensor.desc}; }
  Slot& slot(const Tensor& tensor) { return program_.slots[static_cast<std::size_t>(tensor.slot)]; }

  // Forward (forward_builder.cpp).
  void forward_group(int index);
  void conv_group(const Group& group, Made& made);
  void dense_group(const Group& group, Made& made);
  void norm_group(const Group& group, Made& made);
  void relu_group(const Group& group, Made& made);
  void pool_group(const Group& group, Made& made);
  void dropout_group(const Group& group, Made& made);
  void add_group(const Group& group);
  void concat_group(const Group& group);
  void zero_pad_group(const Group& group);
  void loss_group(const Group& group, Made& made);
  /// A convolution's primitive by Winograd's algorithm where that is wanted and the library has it, else
  /// direct; make(Algorithm) makes one, or nothing.
  template <class Make>
  auto fastest(const Layer& layer, bool& by_winograd, Make&& make) const {
    by_winograd = false;
    if (wants_winograd(layer, options_, program_.batch))
      if (auto primitive = make(Algorithm::convolution_winograd)) {
        by_winograd = true;
        return primitive;
      }
    return make(Algorithm::convolution_direct);
  }

  // Backward (backward_builder.cpp).
  void backward_group(int index);
  void conv_backward(const Group& group, Made& made);
  void dense_backward(const Group& group, Made& made);
  void norm_backward_group(const Group& group, Made& made);
  void pool_backward_group(const Group& group, Made& made);
  void dropout_backward(const Group& group, Made& made);
  void spread_backward(const Group& group);  ///< add, concat, zero_pad
  /// The gradient of the group's output behind its ReLU, in `desc`.
  Tensor output_gradient(const Group& group);
  void contribute(const Group& group, std::size_t input, const Tensor& gradient);
  Tensor gradient_target(int index, const Desc& desc);
  void finish_gradient(int index, const Tensor& computed);

  const Layer& layer(int id) const { return graph_.layer(id); }
  Tensor& value(int id) { return values_[static_cast<std::size_t>(id)]; }
  Tensor& gradient(int id) { return gradients_[static_cast<std::size_t>(id)]; }
  Made& made(int group) { return made_[static_cast<std::size_t>(group)]; }
  bool training() const { return program_.mode == Mode::training; }
  Dims dims(const Shape& shape) const {
    return {program_.batch, shape.channels, shape.height, shape.width};
  }
  GroupSlots& views(const Group& group);

  Program& program_;
  const Graph& graph_;
  const ExecutorOptions& options_;
  ParameterStore& store_;
  Type type_;
  std::vector<Tensor> values_, gradients_;  ///< [layer]
  std::vector<Made> made_;                  ///< [group]
  std::set<int> named_;                     ///< pieces whose implementation is known
  int piece_ = -1;
};

template <class Descriptor>
void Builder::emit(const Descriptor& descriptor, dnnl::primitive primitive,
                   std::vector<Argument> arguments) {
  Step step;
  step.primitive = std::move(primitive);
  step.arguments = std::move(arguments);
  step.scratch = descriptor.scratchpad_desc();
  step.piece = piece_;
  if (piece_ >= 0) {
    // A piece is named by its own primitive, not by a reorder or the gradient of a fused ReLU before it.
    constexpr bool beside = std::is_same_v<Descriptor, dnnl::reorder::primitive_desc> ||
                            std::is_same_v<Descriptor, dnnl::eltwise_backward::primitive_desc>;
    std::string& name = program_.times[static_cast<std::size_t>(piece_)].implementation;
    if (!beside && !named_.contains(piece_)) {
      name = descriptor.impl_info_str();
      named_.insert(piece_);
    } else if (name.empty()) {
      name = descriptor.impl_info_str();
    }
  }
  program_.steps.push_back(std::move(step));
}

}  // namespace dlscale::nn::onednn
