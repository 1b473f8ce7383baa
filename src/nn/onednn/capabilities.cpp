// SPDX-License-Identifier: BSD-3-Clause
// What the library can do on this processor and what it needs for it, asked without computing anything.
#include <algorithm>

#include "nn/executor.hpp"
#include "nn/onednn/primitives.hpp"
#include "nn/winograd.hpp"

namespace dlscale::nn {
namespace {

using onednn::Algorithm;
using onednn::Desc;
using onednn::Dims;

Desc any(const Dims& dims) {
  return onednn::any(dims, onednn::Type::f32);
}

std::optional<onednn::ConvForward> winograd_forward(const onednn::ConvFacts& facts,
                                                    bool training = true) {
  const auto prop = training ? onednn::Prop::forward_training : onednn::Prop::forward_inference;
  return onednn::conv_forward(prop, Algorithm::convolution_winograd, facts, any(facts.src),
                              any(facts.weights), onednn::plain(facts.bias, onednn::Type::f32),
                              any(facts.dst));
}

onednn::ConvFacts facts_of(const Layer& layer, std::int64_t batch) {
  return onednn::conv_facts(batch, layer.in, layer.out.channels, layer.groups, layer.window);
}

constexpr const char* asking = "asking for Winograd's algorithm";

WinogradBytes ask_winograd(const Layer& layer, std::int64_t batch, bool training) {
  const onednn::ConvFacts facts = facts_of(layer, batch);
  const auto forward = winograd_forward(facts, training);
  if (!forward) return {};
  std::size_t most = onednn::bytes_of(forward->scratchpad_desc());
  const auto weights_bytes = static_cast<double>(onednn::bytes_of(forward->weights_desc()));
  if (!training) return {static_cast<double>(most), weights_bytes};
  const auto data = onednn::conv_backward_data(Algorithm::convolution_winograd, facts, any(facts.src),
                                               any(facts.weights), any(facts.dst), *forward);
  const auto weights = onednn::conv_backward_weights(
      Algorithm::convolution_winograd, facts, any(facts.src), any(facts.weights),
      onednn::plain(facts.bias, onednn::Type::f32), any(facts.dst), *forward);
  if (data) most = std::max(most, onednn::bytes_of(data->scratchpad_desc()));
  if (weights) most = std::max(most, onednn::bytes_of(weights->scratchpad_desc()));
  return {static_cast<double>(most), weights_bytes};
}

}  // namespace

// What the library itself would need: below AVX-512 it has no bf16 convolution, and without the bf16
// instructions it converts in software, several times slower than f32.
std::string precision_problem(Precision precision) {
  if (precision == Precision::f32) return {};
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512bf16"))
    return "bf16 needs a processor with AVX512_BF16 or AMX, this one has neither";
  // An environment variable may hold the library back.
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
    case dnnl::cpu_isa::avx:
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx512_core:
    case dnnl::cpu_isa::avx512_core_vnni:
      return "bf16 needs AVX512_BF16, and ONEDNN_MAX_CPU_ISA keeps oneDNN from using it";
    default:
      return {};
  }
#else
  return "bf16 is used on x86-64 processors with AVX512_BF16 or AMX only";
#endif
}

// Asked by an example that every implementation takes.
bool has_winograd() {
  static const bool has = [] {
    bool found = false;
    onednn::call(asking, [&] {
      found = winograd_forward(onednn::conv_facts(16, {64, 28, 28}, 64, 1, Window::square(3, 1, 1)))
                  .has_value();
    });
    return found;
  }();
  return has;
}

bool has_winograd(const Layer& layer, std::int64_t batch) {
  if (layer.op != Op::conv || !has_winograd()) return false;
  bool found = false;
  onednn::call(asking, [&] { found = winograd_forward(facts_of(layer, batch)).has_value(); });
  return found;
}

// Making a descriptor takes microseconds and holds no memory.
WinogradBytes winograd_bytes(const Layer& layer, std::int64_t batch, int threads, bool training) {
  onednn::set_threads(threads);  // scratch is divided among them
  WinogradBytes bytes;
  onednn::call(asking, [&] { bytes = ask_winograd(layer, batch, training); });
  return bytes;
}

}  // namespace dlscale::nn
