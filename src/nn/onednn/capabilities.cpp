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

std::optional<onednn::ConvForward> winograd_forward(const onednn::ConvFacts& facts) {
  return onednn::conv_forward(onednn::Prop::forward_training, Algorithm::convolution_winograd, facts,
                              any(facts.src), any(facts.weights),
                              onednn::plain(facts.bias, onednn::Type::f32), any(facts.dst));
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
  static const bool has =
      winograd_forward(onednn::conv_facts(16, {64, 28, 28}, 64, 1, Window::square(3, 1, 1))).has_value();
  return has;
}

// Making a descriptor takes microseconds and holds no memory.
double winograd_scratch_bytes(const Layer& layer, std::int64_t batch, int threads, bool training) {
  onednn::set_threads(threads);  // scratch is divided among them
  const auto facts = onednn::conv_facts(batch, layer.in, layer.out.channels, layer.groups, layer.window);
  const auto forward = winograd_forward(facts);
  if (!forward) return 0;
  std::size_t most = onednn::bytes_of(forward->scratchpad_desc());
  if (!training) return static_cast<double>(most);
  const auto data = onednn::conv_backward_data(Algorithm::convolution_winograd, facts, any(facts.src),
                                               any(facts.weights), any(facts.dst), *forward);
  const auto weights = onednn::conv_backward_weights(
      Algorithm::convolution_winograd, facts, any(facts.src), any(facts.weights),
      onednn::plain(facts.bias, onednn::Type::f32), any(facts.dst), *forward);
  if (data) most = std::max(most, onednn::bytes_of(data->scratchpad_desc()));
  if (weights) most = std::max(most, onednn::bytes_of(weights->scratchpad_desc()));
  return static_cast<double>(most);
}

}  // namespace dlscale::nn
