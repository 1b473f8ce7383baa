// SPDX-License-Identifier: BSD-3-Clause
// The pure half of collective on GPUs.
#include <algorithm>

#include "workloads/collective/collective.hpp"
#include "workloads/gpu_workload.hpp"

namespace dlscale {
namespace {

std::vector<Key> keys() {
  std::vector<Key> list = collective_keys({"nccl", "mpi"});
  for (Key& key : list)
    if (key.name == "dtype") key.choices.emplace_back("f16");
  return list;
}

std::string validate(const Params& params) {
  if (std::string problem = collective_validate(params); !problem.empty()) return problem;
  const bool nccl = params.text("implementation") == "nccl";
  if (nccl && params.boolean("in_place") && params.text("op") == "alltoall")
    return sentence("in_place can't be true with op = alltoall and implementation = nccl",
                    "NCCL would overwrite what it has yet to send", "leave in_place out");
  if (!nccl && params.text("dtype") == "f16")
    return sentence("dtype = f16 can't be used with implementation = mpi", "MPI has no such type",
                    "use bf16, or implementation = nccl");
  return {};
}

// Those of the CPU with both implementations, as far as each has them, and f16.
std::vector<Params> examples() {
  std::vector<Params> list;
  for (const char* implementation : {"nccl", "mpi"})
    for (Params& p : collective_examples(implementation)) {
      if (!validate(p).empty()) p.set("in_place", false);
      list.push_back(p);
      if (p.text("dtype") != "bf16") continue;
      p.set("dtype", std::string("f16"));
      if (validate(p).empty()) list.push_back(p);
    }
  return list;
}

// Where there is one buffer, a copy of what a sample begins with stays on the GPU.
Cost cost(const Params& params, int ranks, int threads) {
  Cost cost = collective_cost(params, ranks, threads);
  const CollectiveShape shape = collective_shape(params, ranks);
  if (shape.one_buffer())
    cost.memory_bytes += static_cast<double>(shape.input_count()) *
                         static_cast<double>(element_bytes(params.text("dtype")));
  return cost;
}

}  // namespace

Entry collective_cuda_entry() {
  Entry entry;
  entry.name = "collective";
  entry.variant = "cuda";
  entry.description =
      "a collective operation between the memories of GPUs, by NCCL or MPI; its rate is the bus "
      "bandwidth of nccl-tests";
  entry.rate = RateKind::bus;
  entry.distributed = [](const Params&) { return true; };
  entry.keys = keys();
  entry.examples = examples;
  entry.validate = validate;
  entry.cost = cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };  // there are no pairs of GPUs yet
  entry.make = [](const WorkContext& context) { return make_on_gpu("collective", context); };
  return entry;
}

}  // namespace dlscale
