// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/conv2d/conv2d_cpu.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "device/random.hpp"
#include "nn/onednn/host_ops.hpp"
#include "nn/winograd.hpp"

namespace dlscale {
namespace {

namespace dnn = nn::onednn;

/// `values` seen as a tensor in canonical layout. The library takes no const pointers.
dnn::Memory canonical(const dnn::Desc& like, float* values) {
  return {dnn::plain(dnn::dims_of(like), dnn::Type::f32), dnn::engine(), values};
}

/// The shortest of a few runs after one that warms up.
template <class Run>
double shortest_s(Run run) {
  constexpr int runs = 5;
  constexpr double enough_s = 0.5;
  run();
  double shortest = std::numeric_limits<double>::infinity(), sum = 0;
  for (int i = 0; i < runs && sum < enough_s; ++i) {
    const std::int64_t start = now_ns();
    run();
    const double seconds = seconds_since(start);
    shortest = std::min(shortest, seconds);
    sum += seconds;
  }
  return shortest;
}

}  // namespace

Conv2dCpu::Conv2dCpu(const WorkContext& context)
    : case_(conv2d_case(context.params)), seed_(context.seed), threads_(context.threads) {}

const Conv2dCpu::Tensor& Conv2dCpu::Ready::tensor(Conv2dOperand operand) const {
  return operand == Conv2dOperand::x ? x : operand == Conv2dOperand::w ? w : y;
}

void Conv2dCpu::Ready::run() {
  primitive.execute(dnn::stream(), arguments);
  dnn::stream().wait();
}

Conv2dCpu::Tensor Conv2dCpu::allocate(const dnn::Desc& desc) {
  Tensor tensor;
  tensor.storage = Buffer<char>(dnn::bytes_of(desc));
  tensor.memory = dnn::Memory(desc, dnn::engine(), tensor.storage.data());
  return tensor;
}

std::vector<float> Conv2dCpu::drawn(Conv2dOperand operand) const {
  std::vector<float> values(static_cast<std::size_t>(case_.count(operand)));
  fill_uniform(std::span(values), seed_, static_cast<std::uint64_t>(operand));
  if (case_.precision == nn::Precision::bf16)
    for (float& value : values) value = dnn::from_bf16(dnn::to_bf16(value));
  return values;
}

Conv2dCpu::Ready Conv2dCpu::make_ready(const Conv2dImplementation& implementation) const {
  Ready ready;
  ready.implementation = implementation;
  ready.primitive = implementation.make();
  ready.x = allocate(implementation.x);
  ready.w = allocate(implementation.w);
  ready.y = allocate(implementation.y);
  ready.scratch = allocate(implementation.scratch);
  ready.arguments = {{implementation.x_argument, ready.x.memory},
                     {implementation.w_argument, ready.w.memory},
                     {implementation.y_argument, ready.y.memory},
                     {DNNL_ARG_SCRATCHPAD, ready.scratch.memory}};
  for (const Conv2dOperand operand : {Conv2dOperand::x, Conv2dOperand::w, Conv2dOperand::y}) {
    if (operand == case_.result()) continue;
    const dnn::Memory& memory = ready.tensor(operand).memory;
    std::vector<float> values = drawn(operand);
    dnn::copy(canonical(memory.get_desc(), values.data()), memory);
  }
  return ready;
}

void Conv2dCpu::prepare() {
  dnn::set_threads(threads_);
  tried_s_.clear();
  dnn::call("preparing a convolution", [&] {
    std::optional<Conv2dImplementation> fastest;
    for (const char* algorithm : conv2d_algorithms) {
      if (case_.algorithm != "auto" && case_.algorithm != algorithm) continue;
      const auto candidate = find_conv2d(case_, algorithm);
      if (!candidate) continue;
      ready_ = {};  // memory of one candidate at a time
      ready_ = make_ready(*candidate);
      tried_s_[algorithm] = shortest_s([&] { ready_.run(); });
      if (!fastest || tried_s_[algorithm] < tried_s_[fastest->algorithm]) fastest = candidate;
    }
    if (!fastest) return;
    if (ready_.implementation.algorithm != fastest->algorithm) {
      ready_ = {};
      ready_ = make_ready(*fastest);
      ready_.run();  // the library's threads touch the memory first
    }
  });
  if (tried_s_.empty())
    throw Error(ExitCode::case_failed, "no implementation of this convolution",
                dnn::library_facts() + " offers none for algorithm " + case_.algorithm,
                "choose algorithm = auto");
  // All bits set is NaN in both types: what a run leaves unwritten shows.
  const dnn::Memory& result = ready_.tensor(case_.result()).memory;
  std::memset(result.get_data_handle(), 0xFF, dnn::bytes_of(result.get_desc()));
}

void Conv2dCpu::reset() {
  dnn::set_threads(threads_);  // cases with other thread counts may have run in between
}

void Conv2dCpu::run() {
  dnn::call("a convolution", [this] { ready_.run(); });
}

std::vector<float> Conv2dCpu::result() const {
  const dnn::Memory& memory = ready_.tensor(case_.result()).memory;
  std::vector<float> values(static_cast<std::size_t>(case_.count(case_.result())));
  dnn::copy(memory, canonical(memory.get_desc(), values.data()));
  return values;
}

void Conv2dCpu::set_result(std::vector<float> values) {
  const dnn::Memory& memory = ready_.tensor(case_.result()).memory;
  dnn::copy(canonical(memory.get_desc(), values.data()), memory);
}

Check Conv2dCpu::verify() {
  dnn::set_threads(threads_);
  const auto operand = [&](Conv2dOperand which) {
    return which == case_.result() ? result() : drawn(which);
  };
  nn::LayerTolerance tolerance;
  if (case_.precision == nn::Precision::bf16) tolerance.u_out = tolerance.u_gradient = 0x1p-8;
  if (ready_.implementation.algorithm == "winograd") tolerance.winograd = nn::winograd_factor;
  const double ratio =
      nn::check_convolution(case_.problem, case_.pass, operand(Conv2dOperand::x),
                            operand(Conv2dOperand::w), operand(Conv2dOperand::y), tolerance, seed_);
  return {.error = ratio,
          .tolerance = 1,
          .method = "error / tolerance of random combinations over channels, float64"};
}

// In the library's layout.
std::span<std::byte> Conv2dCpu::last_result() {
  const dnn::Memory& memory = ready_.tensor(case_.result()).memory;
  return {static_cast<std::byte*>(memory.get_data_handle()), dnn::bytes_of(memory.get_desc())};
}

std::string Conv2dCpu::results() const {
  const Conv2dImplementation& chosen = ready_.implementation;
  return nlohmann::json{{"library", dnn::library_facts()},
                        {"algorithm", chosen.algorithm},
                        {"implementation", chosen.name},
                        {"tried_seconds", tried_s_},
                        {"scratch_bytes", dnn::bytes_of(chosen.scratch)}}
      .dump();
}

Entry conv2d_cpu_entry() {
  Entry entry;
  entry.name = "conv2d";
  entry.variant = "cpu";
  entry.description = "one pass of a 2D convolution on every rank by itself, through oneDNN";
  entry.rate = RateKind::flops;
  entry.keys = conv2d_keys();
  entry.examples = conv2d_examples;
  entry.validate = conv2d_validate;
  entry.unavailable = conv2d_unavailable;
  entry.cost = [](const Params& params, int, int threads) {
    return conv2d_cost(params, conv2d_held_bytes(conv2d_case(params), threads));
  };
  entry.roofs = conv2d_roofs;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<Conv2dCpu>(context);
  };
  return entry;
}

}  // namespace dlscale
