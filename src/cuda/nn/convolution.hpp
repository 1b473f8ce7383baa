// SPDX-License-Identifier: BSD-3-Clause
/// The three passes of one convolution through cuDNN, each with the algorithm that was fastest when
/// timed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cuda/nn/cudnn.hpp"
#include "cuda/nn/types.hpp"

namespace dlscale::cuda::dnn {

enum class Order { channels_last, channels_first };
constexpr const char* to_string(Order order) {
  return order == Order::channels_last ? "nhwc" : "nchw";
}

/// Padding is the same on opposite sides here; `in` is what the library reads.
struct ConvShape {
  int batch = 1;
  nn::Shape in;
  std::int64_t filters = 1, groups = 1;
  nn::Window window;
  Type type = Type::f32;
  bool tf32 = false;  ///< f32 only: products of the upper 10 bits of mantissas
  Order order = Order::channels_last;
  bool operator==(const ConvShape&) const = default;
};

/// How a pass is computed.
struct ConvChoice {
  int algorithm = -1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  std::size_t workspace_bytes = 0;
  double seconds = 0;  ///< as timed alone
  bool winograd = false;
  bool fused = false;  ///< bias and ReLU by the library in the same call
  std::string name;    ///< "implicit_precomp_gemm"
};
using ConvChoices = std::map<std::string, ConvChoice>;

class Convolution {
 public:
  explicit Convolution(const ConvShape& shape, bool biased = false, bool relu = false);

  /// Times the library's algorithms on these arrays, of which the result is overwritten, with at most so
  /// much workspace. Deterministic ones where there are any; Winograd's only if `winograd`, then
  /// wherever there is one; those by Fourier transforms never. Throws Error(case_failed) when there is
  /// none. A shape found in `known` is not timed again.
  void choose_forward(const Cudnn& library, const void* x, const void* w, const void* bias, void* y,
                      void* workspace, std::size_t most, bool winograd, ConvChoices& known,
                      const Stream& stream);
  void choose_data(const Cudnn& library, const void* w, const void* dy, void* dx, void* workspace,
                   std::size_t most, bool winograd, ConvChoices& known);
  void choose_weights(const Cudnn& library, const void* x, const void* dy, void* dw, void* workspace,
                      std::size_t most, bool winograd, ConvChoices& known);

  // Asynchronous, in the library's stream, which `stream` must be. dw has the type of the activations.
  /// y = x ∗ w, plus bias (of the same type), perhaps max(·, 0): rounded once.
  void forward(const Cudnn& library, const void* x, const void* w, const void* bias, void* y,
               void* workspace, const Stream& stream) const;
  void backward_data(const Cudnn& library, const void* w, const void* dy, void* dx,
                     void* workspace) const;
  void backward_weights(const Cudnn& library, const void* x, const void* dy, void* dw,
                        void* workspace) const;

  const ConvChoice& forward_choice() const { return forward_; }
  const ConvChoice& data_choice() const { return data_; }
  const ConvChoice& weights_choice() const { return weights_; }

 private:
  std::string key(const char* pass) const;
  cudnnStatus_t fused(const Cudnn& library, const void* x, const void* w, const void* bias, void* y,
                      void* workspace) const;
  void use(const ConvolutionDescription& description, const ConvChoice& choice) const;

  ConvShape shape_;
  bool biased_, relu_;
  Dims out_;
  TensorDescription x_, y_, bias_;
  FilterDescription w_;
  ConvolutionDescription forward_pass_, data_pass_,
      weights_pass_;  ///< each with its own kind of products
  ActivationDescription activation_;
  ConvChoice forward_, data_, weights_;
};

}  // namespace dlscale::cuda::dnn
