// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "cuda/nn/kernels.hpp"

namespace dlscale::cuda::dnn {
namespace {

constexpr int most_algorithms = 16;
constexpr float one = 1, zero = 0;

constexpr std::array<const char*, 8> forward_names = {
    "implicit_gemm", "implicit_precomp_gemm", "gemm", "direct", "fft", "fft_tiling",
    "winograd",      "winograd_nonfused"};
constexpr std::array<const char*, 6> data_names = {"algo_0",     "algo_1",   "fft",
                                                   "fft_tiling", "winograd", "winograd_nonfused"};
constexpr std::array<const char*, 7> weights_names = {
    "algo_0", "algo_1", "fft", "algo_3", "winograd", "winograd_nonfused", "fft_tiling"};

int narrow_int(std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<int>::max())
    throw Error(ExitCode::case_failed, "a size is too large for cuDNN", fmt::format("{}", value),
                "choose a smaller case");
  return static_cast<int>(value);
}

/// What may be used, the fastest first; Winograd's before others where it is wanted. Sums in another
/// order from time to time only where the library has nothing else.
template <class Perf, class Names>
std::vector<ConvChoice> usable(const std::array<Perf, most_algorithms>& timed, int count,
                               const Names& names, const ConvShape& shape, std::size_t most,
                               bool winograd) {
  const bool exact = shape.type == Type::f32 && !shape.tf32;
  std::vector<ConvChoice> list, unsteady;
  for (int i = 0; i < count; ++i) {
    const Perf& p = timed[static_cast<std::size_t>(i)];
    const auto algorithm = static_cast<std::size_t>(p.algo);
    if (p.status != CUDNN_STATUS_SUCCESS || p.memory > most || algorithm >= names.size()) continue;
    ConvChoice choice;
    choice.name = names[algorithm];
    choice.winograd = choice.name.starts_with("winograd");
    const bool tensor_cores =
        p.mathType == CUDNN_TENSOR_OP_MATH || p.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
    if (choice.name.starts_with("fft") || (exact && tensor_cores) || (choice.winograd && !winograd))
      continue;
    choice.algorithm = static_cast<int>(p.algo);
    choice.math = exact ? CUDNN_FMA_MATH : p.mathType;
    choice.workspace_bytes = p.memory;
    choice.seconds = 1e-3 * static_cast<double>(p.time);
    const bool steady = p.determinism == CUDNN_DETERMINISTIC;
    if (!steady) choice.name += " (not deterministic)";
    (steady ? list : unsteady).push_back(choice);
  }
  if (list.empty()) list = unsteady;
  std::stable_partition(list.begin(), list.end(),
                        [&](const ConvChoice& c) { return winograd && c.winograd; });
  return list;
}

/// The first that the library executes: of what it timed it may refuse some when they are asked for.
/// `run` takes one and executes it.
template <class Run>
ConvChoice first_that_runs(const std::vector<ConvChoice>& list, const char* pass, const ConvShape& s,
                           Run&& run) {
  std::string refused;
  for (const ConvChoice& candidate : list)
    if (refused = failure_of([&] { run(candidate); }); refused.empty()) return candidate;
  throw Error(ExitCode::case_failed, fmt::format("cuDNN has no {} for this convolution", pass),
              fmt::format("{}x{}x{}x{}, {} filters of {}x{}, {} groups, {}{}{}", s.batch, s.in.channels,
                          s.in.height, s.in.width, s.filters, s.window.kernel_h, s.window.kernel_w,
                          s.groups, to_string(s.order), refused.empty() ? "" : "; ", refused),
              "choose another dtype, algorithm or layout");
}

}  // namespace

Dims dims_of(int batch, const nn::Shape& shape) {
  const double count = static_cast<double>(batch) * static_cast<double>(shape.count());
  if (count > static_cast<double>(std::numeric_limits<int>::max()))
    throw Error(ExitCode::case_failed, fmt::format("a tensor has {:.3g} values", count),
                "cuDNN's limit is 2^31 - 1", "choose a smaller batch");
  return {batch, static_cast<int>(shape.height), static_cast<int>(shape.width),
          static_cast<int>(shape.channels)};
}

Convolution::Convolution(const ConvShape& s, bool biased, bool relu)
    : shape_(s), biased_(biased), relu_(relu) {
  const cudnnTensorFormat_t format =
      s.order == Order::channels_last ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
  const cudnnDataType_t type = s.type == Type::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const nn::Window& w = s.window;
  const Dims in = dims_of(s.batch, s.in);
  out_ = dims_of(s.batch, {s.filters, w.out_height(s.in.height), w.out_width(s.in.width)});
  DLSCALE_CUDA(cudnnSetTensor4dDescriptor(x_.get(), format, type, in.n, in.c, in.h, in.w));
  DLSCALE_CUDA(cudnnSetTensor4dDescriptor(y_.get(), format, type, out_.n, out_.c, out_.h, out_.w));
  DLSCALE_CUDA(cudnnSetTensor4dDescriptor(bias_.get(), format, type, 1, out_.c, 1, 1));
  DLSCALE_CUDA(cudnnSetFilter4dDescriptor(w_.get(), type, format, narrow_int(s.filters),
                                          narrow_int(s.in.channels / s.groups), narrow_int(w.kernel_h),
                                          narrow_int(w.kernel_w)));
  for (const ConvolutionDescription* pass : {&forward_pass_, &data_pass_, &weights_pass_}) {
    DLSCALE_CUDA(cudnnSetConvolution2dDescriptor(
        pass->get(), narrow_int(w.pad_top), narrow_int(w.pad_left), narrow_int(w.stride_h),
        narrow_int(w.stride_w), 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    DLSCALE_CUDA(cudnnSetConvolutionGroupCount(pass->get(), narrow_int(s.groups)));
    const bool exact = s.type == Type::f32 && !s.tf32;
    DLSCALE_CUDA(
        cudnnSetConvolutionMathType(pass->get(), exact ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH));
  }
  DLSCALE_CUDA(cudnnSetActivationDescriptor(activation_.get(),
                                            relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                                            CUDNN_PROPAGATE_NAN, 0));
}

std::string Convolution::key(const char* pass) const {
  const nn::Window& w = shape_.window;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", pass, shape_.batch,
                     shape_.in.channels, shape_.in.height, shape_.in.width, shape_.filters,
                     shape_.groups, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top,
                     w.pad_left, static_cast<int>(shape_.type), shape_.tf32,
                     static_cast<int>(shape_.order), biased_, relu_);
}

void Convolution::use(const ConvolutionDescription& description, const ConvChoice& choice) const {
  DLSCALE_CUDA(cudnnSetConvolutionMathType(description.get(), choice.math));
}

// With bias and ReLU in the same call the result is rounded once. Where the library refuses that, bias
// and convolution are blended by β = 1, which rounds once as well, and the ReLU follows.
void Convolution::choose_forward(const Cudnn& library, const void* x, const void* w, const void* bias,
                                 void* y, void* workspace, std::size_t most, bool winograd,
                                 ConvChoices& known, const Stream& stream) {
  ConvChoice& made = known[key("forward")];
  if (made.algorithm < 0) {
    std::array<cudnnConvolutionFwdAlgoPerf_t, most_algorithms> timed{};
    int count = 0;
    DLSCALE_CUDA(cudnnFindConvolutionForwardAlgorithmEx(
        library.get(), x_.get(), x, w_.get(), w, forward_pass_.get(), y_.get(), y, most_algorithms,
        &count, timed.data(), workspace, most));
    const auto list = usable(timed, count, forward_names, shape_, most, winograd);
    ConvChoice best = first_that_runs(list, "forward pass", shape_, [&](const ConvChoice& candidate) {
      forward_ = candidate;
      use(forward_pass_, forward_);
      forward(library, x, w, bias, y, workspace, stream);
    });
    for (const ConvChoice& candidate : list) {
      if (!biased_) break;
      // The library adds a bias without ReLU by this algorithm alone.
      if (!relu_ && candidate.algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) continue;
      forward_ = candidate;
      use(forward_pass_, forward_);
      if (fused(library, x, w, bias, y, workspace) != CUDNN_STATUS_SUCCESS) continue;
      best = candidate;
      best.fused = true;
      break;
    }
    made = best;
  }
  forward_ = made;
  use(forward_pass_, forward_);
  forward(library, x, w, bias, y, workspace, stream);
}

void Convolution::choose_data(const Cudnn& library, const void* w, const void* dy, void* dx,
                              void* workspace, std::size_t most, bool winograd, ConvChoices& known) {
  ConvChoice& made = known[key("data")];
  if (made.algorithm < 0) {
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, most_algorithms> timed{};
    int count = 0;
    DLSCALE_CUDA(cudnnFindConvolutionBackwardDataAlgorithmEx(
        library.get(), w_.get(), w, y_.get(), dy, data_pass_.get(), x_.get(), dx, most_algorithms,
        &count, timed.data(), workspace, most));
    const auto list = usable(timed, count, data_names, shape_, most, winograd);
    made = first_that_runs(list, "gradient of the input", shape_, [&](const ConvChoice& candidate) {
      data_ = candidate;
      use(data_pass_, data_);
      backward_data(library, w, dy, dx, workspace);
    });
  }
  data_ = made;
  use(data_pass_, data_);
}

void Convolution::choose_weights(const Cudnn& library, const void* x, const void* dy, void* dw,
                                 void* workspace, std::size_t most, bool winograd, ConvChoices& known) {
  ConvChoice& made = known[key("weights")];
  if (made.algorithm < 0) {
    std::array<cudnnConvolutionBwdFilterAlgoPerf_t, most_algorithms> timed{};
    int count = 0;
    DLSCALE_CUDA(cudnnFindConvolutionBackwardFilterAlgorithmEx(
        library.get(), x_.get(), x, y_.get(), dy, weights_pass_.get(), w_.get(), dw, most_algorithms,
        &count, timed.data(), workspace, most));
    const auto list = usable(timed, count, weights_names, shape_, most, winograd);
    made = first_that_runs(list, "gradient of the weights", shape_, [&](const ConvChoice& candidate) {
      weights_ = candidate;
      use(weights_pass_, weights_);
      backward_weights(library, x, dy, dw, workspace);
    });
  }
  weights_ = made;
  use(weights_pass_, weights_);
}

cudnnStatus_t Convolution::fused(const Cudnn& library, const void* x, const void* w, const void* bias,
                                 void* y, void* workspace) const {
  return cudnnConvolutionBiasActivationForward(
      library.get(), &one, x_.get(), x, w_.get(), w, forward_pass_.get(),
      static_cast<cudnnConvolutionFwdAlgo_t>(forward_.algorithm), workspace, forward_.workspace_bytes,
      &zero, y_.get(), y, bias_.get(), bias, activation_.get(), y_.get(), y);
}

void Convolution::forward(const Cudnn& library, const void* x, const void* w, const void* bias, void* y,
                          void* workspace, const Stream& stream) const {
  if (forward_.fused) {
    check(fused(library, x, w, bias, y, workspace), "cudnnConvolutionBiasActivationForward");
    return;
  }
  if (biased_) spread_rows(shape_.type, bias, y, out_.rows(), static_cast<unsigned>(out_.c), stream);
  DLSCALE_CUDA(
      cudnnConvolutionForward(library.get(), &one, x_.get(), x, w_.get(), w, forward_pass_.get(),
                              static_cast<cudnnConvolutionFwdAlgo_t>(forward_.algorithm), workspace,
                              forward_.workspace_bytes, biased_ ? &one : &zero, y_.get(), y));
  if (relu_) relu_forward(shape_.type, y, y, out_.count(), stream);
}

void Convolution::backward_data(const Cudnn& library, const void* w, const void* dy, void* dx,
                                void* workspace) const {
  DLSCALE_CUDA(cudnnConvolutionBackwardData(library.get(), &one, w_.get(), w, y_.get(), dy,
                                            data_pass_.get(),
                                            static_cast<cudnnConvolutionBwdDataAlgo_t>(data_.algorithm),
                                            workspace, data_.workspace_bytes, &zero, x_.get(), dx));
}

void Convolution::backward_weights(const Cudnn& library, const void* x, const void* dy, void* dw,
                                   void* workspace) const {
  DLSCALE_CUDA(
      cudnnConvolutionBackwardFilter(library.get(), &one, x_.get(), x, y_.get(), dy, weights_pass_.get(),
                                     static_cast<cudnnConvolutionBwdFilterAlgo_t>(weights_.algorithm),
                                     workspace, weights_.workspace_bytes, &zero, w_.get(), dw));
}

}  // namespace dlscale::cuda::dnn
