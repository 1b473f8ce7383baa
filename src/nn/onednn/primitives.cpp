// SPDX-License-Identifier: BSD-3-Clause
// What oneDNN 2.x and 3.x do alike; primitives_v2.cpp and primitives_v3.cpp hold what differs.
#include "nn/onednn/primitives.hpp"

#include <fmt/format.h>
#include <omp.h>

#include "base/error.hpp"
#include "nn/onednn/primitive_parts.hpp"

namespace dlscale::nn::onednn {
const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream queue(engine());
  return queue;
}

void call(const std::string& what, const std::function<void()>& action) {
  try {
    action();
  } catch (const dnnl::error& e) {
    throw Error(ExitCode::case_failed, what + " failed", fmt::format("oneDNN: {}", e.what()),
                "try algorithm = direct, or another version of oneDNN");
  }
}

Type type_of(Precision precision) {
  return precision == Precision::bf16 ? Type::bf16 : Type::f32;
}

void set_threads(int threads) {
  omp_set_num_threads(threads);
}

Desc any(const Dims& dims, Type type) {
  return {dims, type, Memory::format_tag::any};
}

Desc plain(const Dims& dims, Type type) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return {dims, type, strides};
}

Desc part_of(const Desc& whole, const Dims& dims, const Dims& offsets) {
  return whole.submemory_desc(dims, offsets);
}

ConvFacts conv_facts(std::int64_t batch, const Shape& in, std::int64_t filters, std::int64_t groups,
                     const Window& w) {
  ConvFacts facts;
  facts.src = {batch, in.channels, in.height, in.width};
  if (groups > 1)
    facts.weights = {groups, filters / groups, in.channels / groups, w.kernel_h, w.kernel_w};
  else
    facts.weights = {filters, in.channels, w.kernel_h, w.kernel_w};
  facts.bias = {filters};
  facts.dst = {batch, filters, w.out_height(in.height), w.out_width(in.width)};
  facts.strides = {w.stride_h, w.stride_w};
  facts.pad_left = {w.pad_top, w.pad_left};
  facts.pad_right = {w.pad_bottom, w.pad_right};
  return facts;
}

dnnl::post_ops relu_after() {
  dnnl::post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(Algorithm::eltwise_relu, 0, 0);
#else
  ops.append_eltwise(1, Algorithm::eltwise_relu, 0, 0);
#endif
  return ops;
}

dnnl::reorder::primitive_desc reorder(const Desc& from, const Desc& to) {
  return {engine(), from, engine(), to, attributes()};
}

void copy(const Memory& from, const Memory& to) {
  call("copying a tensor", [&] {
    const dnnl::reorder::primitive_desc pd(engine(), from.get_desc(), engine(), to.get_desc());
    Memory source = from, target = to;
    dnnl::reorder(pd).execute(stream(), source, target);
    stream().wait();
  });
}

std::string library_facts() {
  const dnnl_version_t* version = dnnl_version();
  const char* isa = "";
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      isa = "SSE4.1";
      break;
    case dnnl::cpu_isa::avx:
      isa = "AVX";
      break;
    case dnnl::cpu_isa::avx2:
      isa = "AVX2";
      break;
    case dnnl::cpu_isa::avx2_vnni:
      isa = "AVX2 VNNI";
      break;
    case dnnl::cpu_isa::avx512_core:
      isa = "AVX-512";
      break;
    case dnnl::cpu_isa::avx512_core_vnni:
      isa = "AVX-512 VNNI";
      break;
    case dnnl::cpu_isa::avx512_core_bf16:
      isa = "AVX-512 BF16";
      break;
    case dnnl::cpu_isa::avx512_core_amx:
      isa = "AMX";
      break;
#if DNNL_VERSION_MAJOR >= 3
    case dnnl::cpu_isa::avx2_vnni_2:
      isa = "AVX2 VNNI BF16";
      break;
    case dnnl::cpu_isa::avx512_core_fp16:
      isa = "AVX-512 FP16";
      break;
    case dnnl::cpu_isa::avx512_core_amx_fp16:
      isa = "AMX FP16";
      break;
#endif
    default:
      isa = "best available";
      break;
  }
  return fmt::format("oneDNN {}.{}.{} ({})", version->major, version->minor, version->patch, isa);
}

}  // namespace dlscale::nn::onednn
