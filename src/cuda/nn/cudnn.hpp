// SPDX-License-Identifier: BSD-3-Clause
/// Owners of cuDNN's handles and descriptors.
#pragma once

#include <cudnn.h>

#include "cuda/stream.hpp"

namespace dlscale::cuda {

/// cuDNN's own account of the last failure of this thread, where it has one.
inline std::string cudnn_text(cudnnStatus_t code) {
  char words[1024] = {};
  cudnnGetLastErrorString(words, sizeof words);
  std::string text = cudnnGetErrorString(code);
  if (words[0] != '\0') text += std::string(": ") + words;
  return text;
}
inline void check(cudnnStatus_t code, const char* call) {
  if (code != CUDNN_STATUS_SUCCESS) fail(call, cudnn_text(code));
}

namespace dnn {

template <class T, cudnnStatus_t (*destroy)(T)>
struct CudnnTraits {
  static T null() { return nullptr; }
  static void close(T handle) noexcept { destroy(handle); }
};
template <class T, cudnnStatus_t (*create)(T*), cudnnStatus_t (*destroy)(T)>
class Descriptor {
 public:
  Descriptor() {
    T handle = nullptr;
    DLSCALE_CUDA(create(&handle));
    handle_ = Handle<CudnnTraits<T, destroy>>(handle);
  }
  T get() const noexcept { return handle_.get(); }

 private:
  Handle<CudnnTraits<T, destroy>> handle_;
};

using Cudnn = Descriptor<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using TensorDescription =
    Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescription =
    Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescription = Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                                          cudnnDestroyConvolutionDescriptor>;
using ActivationDescription = Descriptor<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
                                         cudnnDestroyActivationDescriptor>;

}  // namespace dnn
}  // namespace dlscale::cuda
