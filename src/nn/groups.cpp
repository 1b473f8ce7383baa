// SPDX-License-Identifier: BSD-3-Clause
#include "nn/groups.hpp"

namespace dlscale::nn {
namespace {

// The only user of a layer's output, or -1.
int only_user(const Graph& graph, int id) {
  const std::vector<int> users = graph.users(id);
  return users.size() == 1 ? users.front() : -1;
}

int user_with(const Graph& graph, int id, Op op) {
  const int user = only_user(graph, id);
  return user >= 0 && graph.layer(user).op == op ? user : -1;
}

bool takes_relu(Op op) {
  return op == Op::conv || op == Op::dense || op == Op::batch_norm;
}

double parameter_bytes(const Graph& graph, const Layer& layer, double bytes_per_value) {
  double values = 0;
  for (const int p : layer.parameters)
    values += static_cast<double>(graph.parameters()[static_cast<std::size_t>(p)].count());
  return bytes_per_value * values;
}

struct Sizes {
  double in = 0, out = 0;             // bytes of activations of the batch
  double weights = 0, gradients = 0;  // weights in their working precision, gradients in f32
};

Sizes sizes_of(const Graph& graph, const Group& group, Precision precision, int batch) {
  const double value = precision == Precision::bf16 ? 2 : 4;
  const Layer& head = graph.layer(group.head);
  Sizes s;
  for (const int input : head.inputs)
    s.in += value * batch * static_cast<double>(graph.shape(input).count());
  s.out = value * batch * static_cast<double>(graph.shape(group.last()).count());
  s.weights = parameter_bytes(graph, head, head.op == Op::batch_norm ? 4 : value);
  s.gradients = parameter_bytes(graph, head, 4);
  return s;
}

void add_backward(std::vector<StepPiece>& pieces, const Graph& graph, const Group& group, const Sizes& s,
                  int batch) {
  const Layer& head = graph.layer(group.head);
  bool inputs_need = false;
  for (const int input : head.inputs) inputs_need = inputs_need || graph.needs_gradient(input);
  const bool weighted = head.op == Op::conv || head.op == Op::dense;
  if (!weighted) {
    if (graph.needs_gradient(group.last()) || head.op == Op::softmax_cross_entropy)
      pieces.push_back({head.name + " backward", group.head, 0,
                        s.out + s.in + (inputs_need ? s.in : 0) + s.gradients});
    return;
  }
  if (head.trainable)
    pieces.push_back({head.name + " backward weights", group.head,
                      batch * graph.backward_weights_flops(group.head), s.in + s.out + s.gradients});
  if (inputs_need)
    pieces.push_back({head.name + " backward data", group.head,
                      batch * graph.backward_data_flops(group.head), s.out + s.weights + s.in});
}

}  // namespace

std::vector<int> Group::members() const {
  std::vector<int> list{head};
  if (norm >= 0) list.push_back(norm);
  if (relu >= 0) list.push_back(relu);
  return list;
}

std::vector<Group> fuse(const Graph& graph, Mode mode, bool fold) {
  std::vector<Group> groups;
  std::vector<bool> taken(graph.layers().size(), false);
  for (int id = 0; id < static_cast<int>(graph.layers().size()); ++id) {
    if (taken[static_cast<std::size_t>(id)]) continue;
    Group group{.head = id};
    if (graph.layer(id).op == Op::conv && mode == Mode::inference && fold)
      group.norm = user_with(graph, id, Op::batch_norm);
    if (takes_relu(graph.layer(id).op)) group.relu = user_with(graph, group.last(), Op::relu);
    for (const int member : group.members()) taken[static_cast<std::size_t>(member)] = true;
    groups.push_back(group);
  }
  return groups;
}

int computing_groups(const Graph& graph, Mode mode, bool backward) {
  if (backward && mode == Mode::inference) return 0;
  int count = 0;
  for (const Group& group : fuse(graph, mode)) {
    const Layer& head = graph.layer(group.head);
    // A dropout that drops nothing, and the gradient of a sum, are their input by another name.
    const bool passes_on = head.op == Op::input || (backward && head.op == Op::add) ||
                           (head.op == Op::dropout && (mode == Mode::inference || head.rate <= 0));
    if (!passes_on && (!backward || graph.needs_gradient(group.last()))) ++count;
  }
  return count;
}

std::vector<StepPiece> step_pieces(const Graph& graph, Precision precision, int batch, Mode mode,
                                   bool fold) {
  const std::vector<Group> groups = fuse(graph, mode, fold);
  std::vector<StepPiece> pieces;
  for (const Group& group : groups) {
    const Layer& head = graph.layer(group.head);
    if (head.op == Op::input) continue;
    const Sizes s = sizes_of(graph, group, precision, batch);
    pieces.push_back({head.name + " forward", group.head, 2.0 * batch * head.forward_macs(),
                      s.in + s.weights + s.out});
  }
  if (mode == Mode::inference) return pieces;
  for (auto group = groups.rbegin(); group != groups.rend(); ++group)
    if (graph.layer(group->head).op != Op::input)
      add_backward(pieces, graph, *group, sizes_of(graph, *group, precision, batch), batch);
  return pieces;
}

}  // namespace dlscale::nn
