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

}  // namespace

const Entry* find_entry(std::string_view name, std::string_view variant) {
  static const std::array<Entry, 7> entries = {
      entry_of("noop", RateKind::time),         entry_of("fma", RateKind::flops),
      entry_of("gemm", RateKind::flops),        entry_of("triad", RateKind::bytes),
      entry_of("train", RateKind::images),      entry_of("infer", RateKind::images),
      entry_of("pdgemm", RateKind::flops, true)};
  for (const Entry& entry : entries)
    if (entry.name == name && entry.variant == variant) return &entry;
  return nullptr;
}

}  // namespace dlscale
