// SPDX-License-Identifier: BSD-3-Clause
// The calls of cuDNN that the executor makes, by their definitions: sums in float64, rounded once. A
// tensor is addressed by its strides only, so a wrong descriptor gives wrong numbers.
#include <cuda_bf16.h>
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <vector>

// --- cuDNN's opaque types
struct cudnnTensorStruct {
  cudnnDataType_t type;
  std::array<std::int64_t, 4> dims, strides;  // n c h w
};
struct cudnnFilterStruct {
  cudnnDataType_t type;
  std::array<std::int64_t, 4> dims, strides;  // k c h w
};
struct cudnnConvolutionStruct {
  int pad_h, pad_w, stride_h, stride_w, groups;
  cudnnMathType_t math;
};
struct cudnnActivationStruct {
  cudnnActivationMode_t mode;
};
struct cudnnContext {};

namespace {

double get(cudnnDataType_t type, const void* p, std::int64_t i) {
  if (type == CUDNN_DATA_FLOAT) return static_cast<double>(static_cast<const float*>(p)[i]);
  return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]));
}
void put(cudnnDataType_t type, void* p, std::int64_t i, double value) {
  if (type == CUDNN_DATA_FLOAT)
    static_cast<float*>(p)[i] = static_cast<float>(value);
  else
    static_cast<__nv_bfloat16*>(p)[i] = __float2bfloat16(static_cast<float>(value));
}
std::array<std::int64_t, 4> strides_of(cudnnTensorFormat_t format,
                                       const std::array<std::int64_t, 4>& d) {
  if (format == CUDNN_TENSOR_NHWC) return {d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
  return {d[1] * d[2] * d[3], d[2] * d[3], d[3], 1};
}
template <class T>
std::int64_t at(const T& t, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return a * t.strides[0] + b * t.strides[1] + c * t.strides[2] + d * t.strides[3];
}
double scalar(const void* p) {
  return static_cast<double>(*static_cast<const float*>(p));
}

// Calls each(n, k, c of its group, c, p, q, r, s, h, w) for every product of a convolution.
template <class Each>
void for_products(const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnTensorStruct& y,
                  const cudnnConvolutionStruct& conv, Each each) {
  const std::int64_t per = y.dims[1] / conv.groups;
  for (std::int64_t n = 0; n < y.dims[0]; ++n)
    for (std::int64_t k = 0; k < y.dims[1]; ++k)
      for (std::int64_t p = 0; p < y.dims[2]; ++p)
        for (std::int64_t q = 0; q < y.dims[3]; ++q)
          for (std::int64_t c = 0; c < w.dims[1]; ++c)
            for (std::int64_t r = 0; r < w.dims[2]; ++r)
              for (std::int64_t s = 0; s < w.dims[3]; ++s) {
                const std::int64_t h = p * conv.stride_h - conv.pad_h + r,
                                   v = q * conv.stride_w - conv.pad_w + s;
                if (h < 0 || v < 0 || h >= x.dims[2] || v >= x.dims[3]) continue;
                each(at(x, n, k / per * w.dims[1] + c, h, v), at(w, k, c, r, s), at(y, n, k, p, q));
              }
}

std::int64_t span_of(const std::array<std::int64_t, 4>& dims) {
  return dims[0] * dims[1] * dims[2] * dims[3];
}
// to = alpha·sums + beta·to
void blend(cudnnDataType_t type, void* to, const std::vector<double>& sums, const void* alpha,
           const void* beta) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    double value = scalar(alpha) * sums[i];
    if (scalar(beta) != 0) value += scalar(beta) * get(type, to, index);
    put(type, to, index, value);
  }
}

// The second asks for too little scratch memory, and is refused when it is executed.
constexpr std::size_t scratch_bytes = 4096;
template <class Perf, class Algo>
cudnnStatus_t found(Algo algorithm, cudnnMathType_t math, int* count, Perf* timed) {
  *count = 3;
  for (int i = 0; i < *count; ++i) {
    timed[i] = {};
    timed[i].algo = i == 0 ? static_cast<Algo>(0) : algorithm;
    timed[i].status = CUDNN_STATUS_SUCCESS;
    timed[i].time = static_cast<float>(i);
    timed[i].memory = i < 2 ? scratch_bytes / 2 : scratch_bytes;
    timed[i].determinism = i == 0 ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
    timed[i].mathType = math;
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

/// For tests: cuDNN's fused bias and activation is refused.
bool host_cudnn_refuses_fusion = false;

#define MADE(NAME, TYPE, STRUCT)             \
  cudnnStatus_t cudnnCreate##NAME(TYPE* p) { \
    *p = new STRUCT{};                       \
    return CUDNN_STATUS_SUCCESS;             \
  }                                          \
  cudnnStatus_t cudnnDestroy##NAME(TYPE p) { \
    delete p;                                \
    return CUDNN_STATUS_SUCCESS;             \
  }

extern "C" {

MADE(, cudnnHandle_t, cudnnContext)
MADE(TensorDescriptor, cudnnTensorDescriptor_t, cudnnTensorStruct)
MADE(FilterDescriptor, cudnnFilterDescriptor_t, cudnnFilterStruct)
MADE(ConvolutionDescriptor, cudnnConvolutionDescriptor_t, cudnnConvolutionStruct)
MADE(ActivationDescriptor, cudnnActivationDescriptor_t, cudnnActivationStruct)

std::size_t cudnnGetVersion() {
  return CUDNN_VERSION;
}
const char* cudnnGetErrorString(cudnnStatus_t) {
  return "from the stand-in of cuDNN";
}
void cudnnGetLastErrorString(char* words, std::size_t) {
  *words = '\0';
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) {
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  t->type = type;
  t->dims = {n, c, h, w};
  t->strides = strides_of(format, t->dims);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t t, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  t->type = type;
  t->dims = {k, c, h, w};
  t->strides = strides_of(format, t->dims);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t conv, int pad_h, int pad_w,
                                              int u, int v, int, int, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  if (mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT) return CUDNN_STATUS_NOT_SUPPORTED;
  *conv = {pad_h, pad_w, u, v, 1, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t conv, int groups) {
  conv->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv, cudnnMathType_t math) {
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t a, cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t, double) {
  a->mode = mode;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const void*, const cudnnFilterDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t, void*, int,
    int* count, cudnnConvolutionFwdAlgoPerf_t* timed, void*, std::size_t) {
  return found(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, conv->math, count, timed);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const void*, const cudnnTensorDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t, void*, int,
    int* count, cudnnConvolutionBwdDataAlgoPerf_t* timed, void*, std::size_t) {
  return found(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, conv->math, count, timed);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t,
    const void*, const cudnnConvolutionDescriptor_t conv, const cudnnFilterDescriptor_t, void*, int,
    int* count, cudnnConvolutionBwdFilterAlgoPerf_t* timed, void*, std::size_t) {
  return found(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, conv->math, count, timed);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t, const void* alpha, const cudnnTensorDescriptor_t x_,
                                      const void* x, const cudnnFilterDescriptor_t w_, const void* w,
                                      const cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t,
                                      void*, std::size_t scratch, const void* beta,
                                      const cudnnTensorDescriptor_t y_, void* y) {
  if (scratch < scratch_bytes) return CUDNN_STATUS_BAD_PARAM;
  std::vector<double> sums(static_cast<std::size_t>(span_of(y_->dims)));
  for_products(*x_, *w_, *y_, *conv, [&](std::int64_t i, std::int64_t j, std::int64_t o) {
    sums[static_cast<std::size_t>(o)] += get(x_->type, x, i) * get(w_->type, w, j);
  });
  blend(y_->type, y, sums, alpha, beta);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t, const void*, const cudnnTensorDescriptor_t x_, const void* x,
    const cudnnFilterDescriptor_t w_, const void* w, const cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t, void*, std::size_t scratch, const void*, const cudnnTensorDescriptor_t,
    const void*, const cudnnTensorDescriptor_t bias_, const void* bias,
    const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t y_, void* y) {
  if (host_cudnn_refuses_fusion) return CUDNN_STATUS_NOT_SUPPORTED;
  if (scratch < scratch_bytes) return CUDNN_STATUS_BAD_PARAM;
  std::vector<double> sums(static_cast<std::size_t>(span_of(y_->dims)));
  for_products(*x_, *w_, *y_, *conv, [&](std::int64_t i, std::int64_t j, std::int64_t o) {
    sums[static_cast<std::size_t>(o)] += get(x_->type, x, i) * get(w_->type, w, j);
  });
  for (std::int64_t n = 0; n < y_->dims[0]; ++n)
    for (std::int64_t k = 0; k < y_->dims[1]; ++k)
      for (std::int64_t p = 0; p < y_->dims[2]; ++p)
        for (std::int64_t q = 0; q < y_->dims[3]; ++q) {
          const std::int64_t o = at(*y_, n, k, p, q);
          double value =
              sums[static_cast<std::size_t>(o)] + get(bias_->type, bias, at(*bias_, 0, k, 0, 0));
          if (activation->mode == CUDNN_ACTIVATION_RELU && value < 0) value = 0;
          put(y_->type, y, o, value);
        }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t, const void* alpha,
                                           const cudnnFilterDescriptor_t w_, const void* w,
                                           const cudnnTensorDescriptor_t y_, const void* dy,
                                           const cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t, void*, std::size_t scratch,
                                           const void* beta, const cudnnTensorDescriptor_t x_,
                                           void* dx) {
  if (scratch < scratch_bytes) return CUDNN_STATUS_BAD_PARAM;
  std::vector<double> sums(static_cast<std::size_t>(span_of(x_->dims)));
  for_products(*x_, *w_, *y_, *conv, [&](std::int64_t i, std::int64_t j, std::int64_t o) {
    sums[static_cast<std::size_t>(i)] += get(y_->type, dy, o) * get(w_->type, w, j);
  });
  blend(x_->type, dx, sums, alpha, beta);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t, const void* alpha,
                                             const cudnnTensorDescriptor_t x_, const void* x,
                                             const cudnnTensorDescriptor_t y_, const void* dy,
                                             const cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t, void*, std::size_t scratch,
                                             const void* beta, const cudnnFilterDescriptor_t w_,
                                             void* dw) {
  if (scratch < scratch_bytes) return CUDNN_STATUS_BAD_PARAM;
  std::vector<double> sums(static_cast<std::size_t>(span_of(w_->dims)));
  for_products(*x_, *w_, *y_, *conv, [&](std::int64_t i, std::int64_t j, std::int64_t o) {
    sums[static_cast<std::size_t>(j)] += get(x_->type, x, i) * get(y_->type, dy, o);
  });
  blend(w_->type, dw, sums, alpha, beta);
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
