// SPDX-License-Identifier: BSD-3-Clause
/// A network as a graph of layers: shapes inferred, parameters and FLOP counted. Pure arithmetic.
/// Shapes are per image, channels × height × width; the batch is the executor's business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dlscale::nn {

/// One image's tensor, C × H × W. Dense layers have features × 1 × 1.
struct Shape {
  std::int64_t channels = 0, height = 1, width = 1;
  std::int64_t count() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;
};

enum class Op {
  input,
  conv,
  batch_norm,
  relu,
  max_pool,
  avg_pool,
  global_avg_pool,
  dense,  ///< flattens its input channel-major
  dropout,
  add,
  concat,  ///< along channels
  zero_pad,
  softmax_cross_entropy,  ///< logits × labels → mean loss; always last
};
std::string_view to_string(Op op);

/// Kernel, stride and (asymmetric) padding of convolutions, pools and zero_pad.
struct Window {
  std::int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  std::int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  /// Square kernel with equal strides and the same padding on all sides.
  static Window square(std::int64_t kernel, std::int64_t stride = 1, std::int64_t pad = 0);
  /// Keras' and TensorFlow's "same": output ⌈in / stride⌉, the odd pixel of padding at the end.
  static Window same(const Shape& in, std::int64_t kernel, std::int64_t stride);
  std::int64_t out_height(std::int64_t in) const;
  std::int64_t out_width(std::int64_t in) const;
};

enum class ParameterKind { weight, bias, gamma, beta };

/// One tensor that is learned, in its canonical layout: convolution O × I/groups × kh × kw, dense
/// O × I (inputs channel-major), others one value per channel.
struct Parameter {
  std::string name;  ///< "conv1.weight"
  ParameterKind kind = ParameterKind::weight;
  int layer = -1;
  std::vector<std::int64_t> dims;
  std::int64_t fan_in = 0;  ///< inputs of one output value: the scale of the initialisation
  bool trainable = true;
  std::int64_t count() const;
};

struct Layer {
  Op op = Op::input;
  std::string name;
  std::vector<int> inputs;  ///< earlier layers
  Shape in, out;            ///< `in`: of the first input
  Window window;
  std::int64_t groups = 1;
  bool bias = false;
  double epsilon = 0, momentum = 0;  ///< batch norm; momentum is the weight of the *new* statistics
  double rate = 0;                   ///< dropout: fraction dropped
  bool include_padding = false;      ///< average pool
  bool trainable = true;             ///< false: a frozen layer
  std::vector<int> parameters;       ///< indices into Graph::parameters()

  /// Multiply-adds of one image forward: convolutions and dense layers only, taps on padding included.
  double forward_macs() const;
};

struct ConvOptions {
  Window window;
  std::int64_t groups = 1;
  bool bias = true;
};

/// Layers are added in an order in which they can be computed; every function returns the new layer's
/// id. Shapes that make no sense throw Error(bad_input) naming the layer.
class Graph {
 public:
  Graph(std::string name, Shape input);

  int input() const { return 0; }
  int conv(int from, std::string name, std::int64_t filters, const ConvOptions& options);
  /// PyTorch's defaults: epsilon 1e-5, momentum 0.1 on the new value.
  int batch_norm(int from, std::string name, double epsilon = 1e-5, double momentum = 0.1);
  int relu(int from, std::string name);
  int max_pool(int from, std::string name, const Window& window);
  /// The divisor counts padding, as PyTorch's default does, only if include_padding.
  int avg_pool(int from, std::string name, const Window& window, bool include_padding = false);
  int global_avg_pool(int from, std::string name);
  int dense(int from, std::string name, std::int64_t features, bool bias = true);
  int dropout(int from, std::string name, double rate);
  int add(int a, int b, std::string name);
  int concat(const std::vector<int>& from, std::string name);
  int zero_pad(int from, std::string name, const Window& pads);
  int loss(int from, std::string name = "loss");

  /// Layers added from now on are (not) trained.
  void trainable(bool yes) { trainable_ = yes; }

  const std::string& name() const { return name_; }
  const std::vector<Layer>& layers() const { return layers_; }
  const Layer& layer(int id) const { return layers_[static_cast<std::size_t>(id)]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Shape& shape(int id) const { return layer(id).out; }
  std::int64_t classes() const;  ///< of the loss
  /// Layers that read the output of `id`.
  std::vector<int> users(int id) const;
  /// Whether the backward pass needs the gradient of this layer's output: a trainable layer is at or
  /// before it.
  bool needs_gradient(int id) const;

  std::int64_t parameter_count() const;  ///< all learned values, frozen ones included
  std::int64_t trainable_count() const;
  std::int64_t statistics_count() const;  ///< running means and variances
  double forward_flops() const;           ///< of one image
  /// Of one image: forward + weight gradients + input gradients where something before needs them.
  double training_flops() const;
  /// Of one layer and image in the backward pass, for its inputs resp. its weights.
  double backward_data_flops(int id) const;
  double backward_weights_flops(int id) const;

 private:
  /// The checks all layers share: inputs exist, the name is new, nothing follows the loss.
  Layer start_layer(Op op, std::string name, std::vector<int> inputs) const;
  int add_layer(Layer layer);
  int add_parameter(int layer, const char* suffix, ParameterKind kind, std::vector<std::int64_t> dims,
                    std::int64_t fan_in);

  std::string name_;
  bool trainable_ = true;
  std::vector<Layer> layers_;
  std::vector<Parameter> parameters_;
  std::vector<bool> needs_gradient_;  ///< [layer]
};

}  // namespace dlscale::nn
