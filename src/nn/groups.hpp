// SPDX-License-Identifier: BSD-3-Clause
/// Which layers are computed in one go, and the timed pieces of a step that follow from it. Pure: the
/// same for every executor, so that the record's columns are known from the plan.
#pragma once

#include <string>
#include <vector>

#include "nn/executor.hpp"
#include "nn/graph.hpp"

namespace dlscale::nn {

/// Layers whose outputs in between are never stored: a head, then perhaps its batch norm (folded into
/// the convolution's weights; inference only), then perhaps its ReLU.
struct Group {
  int head = -1, norm = -1, relu = -1;
  int last() const { return relu >= 0 ? relu : norm >= 0 ? norm : head; }
  std::vector<int> members() const;
};

/// In the graph's order, input and loss included. `fold`: batch norms into convolutions (inference).
std::vector<Group> fuse(const Graph& graph, Mode mode, bool fold = true);

/// Groups that compute something in a pass: so many an executor shows at least when it is observed.
int computing_groups(const Graph& graph, Mode mode, bool backward);

enum class Pass { forward, backward, backward_data, backward_weights };

struct StepPiece {
  std::string name;  ///< "conv1 forward"
  int layer = -1;    ///< the group's head
  double flops = 0;  ///< of the batch; other layers than convolutions and dense ones count none
  double bytes = 0;  ///< inputs, parameters and outputs once
};

/// Of one step (training) or one forward pass (inference). Padding counts as work, as everywhere.
std::vector<StepPiece> step_pieces(const Graph& graph, Precision precision, int batch, Mode mode,
                                   bool fold = true);

}  // namespace dlscale::nn
