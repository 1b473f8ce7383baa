// SPDX-License-Identifier: BSD-3-Clause
// The pure half of triad on a GPU.
#include <cmath>

#include "workloads/gpu_workload.hpp"

namespace dlscale {
namespace {

std::vector<Params> examples() {
  std::vector<Params> list;
  for (const char* op : {"triad", "copy"})
    for (const std::int64_t bytes : {8, 56, 4096, 1000000}) {
      Params p;
      p.set("bytes", bytes);
      p.set("op", std::string(op));
      list.push_back(p);
    }
  return list;
}

Cost cost(const Params& params, int, int) {
  const double bytes = std::floor(params.number("bytes") / 8) * 8;
  const bool copy = params.text("op") == "copy";
  return {.flops = copy ? 0 : 2 * bytes / 8,
          .bytes_touched = (copy ? 2 : 3) * bytes,
          .bytes_sent = 0,
          .memory_bytes = (copy ? 2 : 3) * bytes};
}

}  // namespace

Entry triad_cuda_entry() {
  Entry entry;
  entry.name = "triad";
  entry.variant = "cuda";
  entry.description =
      "a = b + s*c in float64, or the driver's copy, beyond the L2: the memory bandwidth roof";
  entry.rate = RateKind::bytes;
  entry.is_roof = true;
  entry.keys = {{"bytes", std::int64_t{536870912}, "size of each array, per GPU", 8.0, 1e15, {}},
                {"op",
                 std::string("triad"),
                 "triad, or copy (a = b by cudaMemcpyAsync)",
                 {},
                 {},
                 {"triad", "copy"}}};
  entry.examples = examples;
  entry.validate = [](const Params&) { return std::string(); };
  entry.cost = cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.make = [](const WorkContext& context) { return make_on_gpu("triad", context); };
  return entry;
}

}  // namespace dlscale
