// SPDX-License-Identifier: BSD-3-Clause
// The pure half of fma on a GPU.
#include "workloads/fma/fma_gpu.hpp"

#include "workloads/gpu_workload.hpp"

namespace dlscale {

Entry fma_cuda_entry() {
  Entry entry;
  entry.name = "fma";
  entry.variant = "cuda";
  entry.description =
      "multiply-add chains in registers: the FLOP roof of the GPU without its tensor cores";
  entry.rate = RateKind::flops;
  entry.is_roof = true;
  entry.keys = {{"dtype", std::string("f64"), "type of the chains", {}, {}, {"f64", "f32"}}};
  entry.examples = [] {
    std::vector<Params> list(2);
    list[0].set("dtype", std::string("f64"));
    list[1].set("dtype", std::string("f32"));
    return list;
  };
  entry.validate = [](const Params&) { return std::string(); };
  entry.cost = [](const Params&, int, int) {
    return Cost{
        .flops = fma_gpu_flops, .bytes_touched = 0, .bytes_sent = 0, .memory_bytes = fma_gpu_bytes};
  };
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.make = [](const WorkContext& context) { return make_on_gpu("fma", context); };
  return entry;
}

}  // namespace dlscale
