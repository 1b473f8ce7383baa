// SPDX-License-Identifier: BSD-3-Clause
// The registry these tests see, whatever workloads the build has: kinds of rate alone. It stands in for
// the generated one, which the linker then leaves out.
#include <array>

#include "workloads/contract.hpp"

namespace dlscale {
namespace {

Entry entry_of(const char* name, RateKind rate, bool distributed = false) {
  Entry entry;
  entry.name = name;
  entry.variant = "cpu";
  entry.rate = rate;
  if (distributed) entry.distributed = [](const Params&) { return true; };
  return entry;
}

// Under a name of its own: whether train is distributed depends on its keys.
Entry parallel_train() {
  Entry entry = entry_of("train_parallel", RateKind::images, true);
  entry.parts = {"forward", "reduce"};
  entry.buckets = [](const Params&) { return std::vector<double>{1e6, 1e6}; };
  return entry;
}

}  // namespace

const Entry* find_entry(std::string_view name, std::string_view variant) {
  static const std::array<Entry, 10> entries = {
      entry_of("noop", RateKind::time),          entry_of("fma", RateKind::flops),
      entry_of("gemm", RateKind::flops),         entry_of("triad", RateKind::bytes),
      entry_of("train", RateKind::images),       entry_of("infer", RateKind::images),
      entry_of("pdgemm", RateKind::flops, true), entry_of("collective", RateKind::bus, true),
      entry_of("pairwise", RateKind::bus, true), parallel_train()};
  for (const Entry& entry : entries)
    if (entry.name == name && entry.variant == variant) return &entry;
  return nullptr;
}

}  // namespace dlscale
