// SPDX-License-Identifier: BSD-3-Clause
// conv2d through cuDNN. Operands are drawn and brought into their layout on the host, untimed.
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "cuda/memory.hpp"
#include "cuda/nn/builder.hpp"
#include "cuda/nn/convolution.hpp"
#include "device/random.hpp"
#include "nn/channels_last.hpp"
#include "nn/winograd.hpp"
#include "workloads/conv2d/conv2d_gpu.hpp"

namespace dlscale {
namespace {

using cuda::dnn::Order;
using cuda::dnn::Type;
using Floats = std::vector<float>;

// Keeps `bits` of the mantissa's 23, to nearest even.
float rounded(float value, unsigned bits) {
  const unsigned cut = 23 - bits;
  const auto raw = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t half = (1U << (cut - 1)) - 1 + ((raw >> cut) & 1U);
  return std::bit_cast<float>((raw + half) >> cut << cut);
}

class Conv2dCuda final : public Workload {
 public:
  explicit Conv2dCuda(const WorkContext& context)
      : case_(conv2d_case(context.params)),
        padded_(conv2d_padded(case_.problem)),
        dtype_(context.params.text("dtype")),
        layout_(context.params.text("layout")),
        seed_(context.seed),
        type_(dtype_ == "bf16" ? Type::bf16 : Type::f32) {
    DLSCALE_CUDA(cudnnSetStream(library_.get(), stream_.get()));
  }

  void prepare() override {
    std::string why;
    std::optional<Order> best;
    for (const Order order : {Order::channels_last, Order::channels_first}) {
      if (layout_ != "auto" && layout_ != to_string(order)) continue;
      try {
        make_ready(order);
      } catch (const Error& e) {
        why = e.what();
        continue;
      }
      tried_s_[to_string(order)] = choice().seconds;
      if (!best || choice().seconds < tried_s_[to_string(*best)]) best = order;
    }
    if (!best) throw Error(ExitCode::case_failed, why);
    if (order_ != *best || !convolution_) make_ready(*best);
    // Room for the chosen algorithm only. All bits set is NaN in both types: what a run leaves unwritten
    // shows.
    scratch_ = {};
    scratch_ = cuda::DeviceBuffer<std::byte>(choice().workspace_bytes);
    place(case_.result()).set_bytes(0xff, stream_);
    stream_.wait();
  }

  void run() override {
    switch (case_.pass) {
      case nn::ConvPass::forward:
        return convolution_->forward(library_, x_.data(), w_.data(), nullptr, y_.data(), scratch_.data(),
                                     stream_);
      case nn::ConvPass::backward_data:
        return convolution_->backward_data(library_, w_.data(), y_.data(), x_.data(), scratch_.data());
      case nn::ConvPass::backward_weights:
        return convolution_->backward_weights(library_, x_.data(), y_.data(), w_.data(),
                                              scratch_.data());
    }
  }
  void finish() override { stream_.wait(); }

  Check verify() override {
    const auto operand = [&](Conv2dOperand which) {
      return which == case_.result() ? result() : drawn(which);
    };
    nn::LayerTolerance tolerance;
    if (dtype_ != "f32") tolerance.u_acc = 0x1p-23;  // tensor cores cut the sum's last bit off
    if (type_ == Type::bf16) tolerance.u_out = tolerance.u_gradient = 0x1p-8;
    if (choice().winograd) tolerance.winograd = nn::winograd_factor;
    const double ratio =
        nn::check_convolution(case_.problem, case_.pass, operand(Conv2dOperand::x),
                              operand(Conv2dOperand::w), operand(Conv2dOperand::y), tolerance, seed_);
    return {.error = ratio,
            .tolerance = 1,
            .method = "error / tolerance of random combinations over channels, float64"};
  }

  std::string results() const override {
    return nlohmann::json{{"library", "cuDNN " + std::to_string(cudnnGetVersion())},
                          {"algorithm", choice().winograd ? "winograd" : "direct"},
                          {"implementation", choice().name},
                          {"layout", to_string(order_)},
                          {"tried_seconds", tried_s_},
                          {"scratch_bytes", choice().workspace_bytes}}
        .dump();
  }

 private:
  using Bytes = cuda::DeviceBuffer<std::byte>;

  const cuda::dnn::ConvChoice& choice() const {
    if (case_.pass == nn::ConvPass::forward) return convolution_->forward_choice();
    return case_.pass == nn::ConvPass::backward_data ? convolution_->data_choice()
                                                     : convolution_->weights_choice();
  }
  Bytes& place(Conv2dOperand operand) {
    return operand == Conv2dOperand::x ? x_ : operand == Conv2dOperand::w ? w_ : y_;
  }

  // Blocks of an operand as it lies on the device.
  nn::Shape block(Conv2dOperand operand) const {
    const nn::ConvProblem& p = case_.problem;
    if (operand == Conv2dOperand::x) return padded_.in;
    if (operand == Conv2dOperand::y) return case_.out();
    return {p.in.channels / p.groups, p.window.kernel_h, p.window.kernel_w};
  }
  std::size_t count(Conv2dOperand operand) const {
    const std::int64_t blocks =
        operand == Conv2dOperand::w ? case_.problem.filters : case_.problem.batch;
    return static_cast<std::size_t>(blocks * block(operand).count());
  }

  // As the kernels see it: rounded to the case's type.
  Floats drawn(Conv2dOperand operand) const {
    Floats values(static_cast<std::size_t>(case_.count(operand)));
    fill_uniform(std::span(values), seed_, static_cast<std::uint64_t>(operand));
    if (dtype_ != "f32")
      for (float& value : values) value = rounded(value, dtype_ == "bf16" ? 7 : 10);
    return values;
  }

  // Calls each(index in x, index in x with its border).
  template <class Each>
  void for_pixels(Each each) const {
    const nn::Shape &in = case_.problem.in, &out = padded_.in;
    const bool apart = in != out;
    const std::int64_t top = apart ? case_.problem.window.pad_top : 0,
                       left = apart ? case_.problem.window.pad_left : 0;
    for (std::int64_t plane = 0; plane < case_.problem.batch * in.channels; ++plane)
      for (std::int64_t h = 0; h < in.height; ++h)
        for (std::int64_t w = 0; w < in.width; ++w)
          each(static_cast<std::size_t>((plane * in.height + h) * in.width + w),
               static_cast<std::size_t>((plane * out.height + h + top) * out.width + w + left));
  }

  void upload(Conv2dOperand operand) {
    Floats values = drawn(operand);
    if (operand == Conv2dOperand::x) {
      Floats bordered(count(operand), 0.0F);
      for_pixels([&](std::size_t from, std::size_t to) { bordered[to] = values[from]; });
      values = std::move(bordered);
    }
    if (order_ == Order::channels_last) {
      Floats own(values.size());
      nn::to_channels_last(std::span<const float>(values), block(operand), std::span(own));
      values = std::move(own);
    }
    const cuda::DeviceBuffer<float> wide(values.size());
    DLSCALE_CUDA(cudaMemcpyAsync(wide.data(), values.data(), wide.bytes(), cudaMemcpyHostToDevice,
                                 stream_.get()));
    cuda::dnn::convert(Type::f32, wide.data(), type_, place(operand).data(), values.size(), stream_);
    stream_.wait();
  }

  Floats result() {
    const Conv2dOperand operand = case_.result();
    const cuda::DeviceBuffer<float> wide(count(operand));
    cuda::dnn::convert(type_, place(operand).data(), Type::f32, wide.data(), wide.size(), stream_);
    Floats values = wide.read(stream_);
    if (order_ == Order::channels_last) {
      Floats canonical(values.size());
      nn::from_channels_last(std::span<const float>(values), block(operand), std::span(canonical));
      values = std::move(canonical);
    }
    if (operand != Conv2dOperand::x) return values;
    Floats inner(static_cast<std::size_t>(case_.count(operand)));
    for_pixels([&](std::size_t to, std::size_t from) { inner[to] = values[from]; });
    return inner;
  }

  void make_ready(Order order) {
    order_ = order;
    convolution_.reset();
    x_ = {}, w_ = {}, y_ = {}, scratch_ = {};
    convolution_.emplace(cuda::dnn::ConvShape{.batch = static_cast<int>(case_.problem.batch),
                                              .in = padded_.in,
                                              .filters = case_.problem.filters,
                                              .groups = case_.problem.groups,
                                              .window = padded_.window,
                                              .type = type_,
                                              .tf32 = dtype_ == "tf32",
                                              .order = order});
    for (const Conv2dOperand operand : {Conv2dOperand::x, Conv2dOperand::w, Conv2dOperand::y}) {
      place(operand) = Bytes(cuda::bytes_for(count(operand), bytes_of(type_)));
      if (operand != case_.result()) upload(operand);
    }
    std::size_t left = 0, whole = 0;
    DLSCALE_CUDA(cudaMemGetInfo(&left, &whole));
    const std::size_t most = std::min(cuda::dnn::most_workspace_bytes, left / 2);
    scratch_ = Bytes(most);
    const bool winograd = case_.algorithm == "winograd";
    cuda::dnn::ConvChoices known;
    if (case_.pass == nn::ConvPass::forward)
      convolution_->choose_forward(library_, x_.data(), w_.data(), nullptr, y_.data(), scratch_.data(),
                                   most, winograd, known, stream_);
    else if (case_.pass == nn::ConvPass::backward_data)
      convolution_->choose_data(library_, w_.data(), y_.data(), x_.data(), scratch_.data(), most,
                                winograd, known);
    else
      convolution_->choose_weights(library_, x_.data(), y_.data(), w_.data(), scratch_.data(), most,
                                   winograd, known);
    stream_.wait();
  }

  Conv2dCase case_;
  Conv2dPadded padded_;
  std::string dtype_, layout_;
  std::uint64_t seed_;
  Type type_;
  Order order_ = Order::channels_last;
  cuda::Stream stream_;
  cuda::dnn::Cudnn library_;
  std::optional<cuda::dnn::Convolution> convolution_;
  Bytes x_, w_, y_, scratch_;
  std::map<std::string, double> tried_s_;
};

}  // namespace

std::unique_ptr<Workload> make_conv2d_cuda(const WorkContext& context) {
  return std::make_unique<Conv2dCuda>(context);
}

}  // namespace dlscale
