// SPDX-License-Identifier: BSD-3-Clause
/// What every prediction of a program's memory begins with: the groups of a step, and what lives when.
#pragma once

#include <cstddef>
#include <vector>

#include "nn/executor.hpp"
#include "nn/groups.hpp"
#include "nn/memory_plan.hpp"

namespace dlscale::nn {

/// Times are numbered group by group forward, then the same groups backward. `graph` and `options`
/// outlive it.
class StepTensors {
 public:
  StepTensors(const Graph& graph, const ExecutorOptions& options, int batch, Mode mode)
      : graph_(graph),
        options_(options),
        batch_(batch),
        training_(mode == Mode::training),
        value_(options.precision == Precision::bf16 ? 2 : 4),
        groups_(fuse(graph, mode, options.fold)),
        group_of_(graph.layers().size(), 0) {
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (const int member : groups_[g].members())
        group_of_[static_cast<std::size_t>(member)] = static_cast<int>(g);
  }

 protected:
  int end() const { return 2 * static_cast<int>(groups_.size()) - 1; }
  int backward_step(int group) const { return end() - group; }

  const Graph& graph_;
  const ExecutorOptions& options_;
  int batch_;
  bool training_;
  double value_;  ///< bytes of one value of an activation
  std::vector<Group> groups_;
  std::vector<int> group_of_;  ///< [layer]
  std::vector<Tenant> tenants_;
};

}  // namespace dlscale::nn
