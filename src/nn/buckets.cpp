// SPDX-License-Identifier: BSD-3-Clause
// Which gradients are reduced together.
#include <algorithm>

#include "nn/executor.hpp"

namespace dlscale::nn {
namespace {

// A parameter begins on a cache line of 16 values.
double bytes_of(const Parameter& parameter) {
  return 64.0 * static_cast<double>((parameter.count() + 15) / 16);
}

}  // namespace

std::vector<std::vector<int>> cut_buckets(const Graph& graph, const ExecutorOptions& options) {
  std::vector<std::vector<int>> cut;
  double limit = 0, held = 0;
  for (int p = static_cast<int>(graph.parameters().size()); p-- > 0;) {
    const Parameter& parameter = graph.parameters()[static_cast<std::size_t>(p)];
    if (!parameter.trainable) continue;
    const double bytes = bytes_of(parameter);
    if (cut.empty() || held + bytes > limit) {
      // A small first one: its reduction begins when most of the backward pass is still to come.
      limit =
          static_cast<double>(cut.empty() ? std::min(options.first_bucket_bytes, options.bucket_bytes)
                                          : options.bucket_bytes);
      cut.emplace_back();
      held = 0;
    }
    cut.back().push_back(p);
    held += bytes;
  }
  return cut;
}

std::vector<double> bucket_sizes(const Graph& graph, const ExecutorOptions& options) {
  std::vector<double> sizes;
  for (const std::vector<int>& members : cut_buckets(graph, options)) {
    sizes.push_back(0);
    for (const int p : members)
      sizes.back() += bytes_of(graph.parameters()[static_cast<std::size_t>(p)]);
  }
  return sizes;
}

}  // namespace dlscale::nn
