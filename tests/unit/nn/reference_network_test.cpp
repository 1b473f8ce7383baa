// SPDX-License-Identifier: BSD-3-Clause
// The reference as a whole: finite differences through a graph of all layers, and PyTorch's training.
#include "dlscale_catch.hpp"
#include "reference_tools.hpp"
#include "topflight_fixture.hpp"

using namespace dlscale;
using namespace dlscale::nn;
using namespace dlscale::nn::tools;

namespace {

/// All kinds of layers, with branches that meet again. No ReLU or maximum sits on a kink for this seed.
Graph everything() {
  Graph g("everything", {2, 9, 8});
  const int a = g.conv(g.zero_pad(0, "pad", {1, 1, 1, 1, 1, 0, 1, 2}), "conv1", 6,
                       {Window::square(3, 2, 1), 2, true});
  const int b = g.relu(g.batch_norm(a, "bn1"), "relu1");
  const int c = g.conv(b, "conv2", 6, {Window::square(3, 1, 1), 6, false});
  const int d = g.add(c, b, "add");
  const int e =
      g.concat({g.max_pool(d, "max", Window::square(2, 2)), g.avg_pool(d, "avg", Window::square(2, 2))},
               "concat");
  const int f = g.dropout(g.dense(e, "fc1", 7), "dropout", 0.5);
  const int p = g.dense(g.global_avg_pool(d, "gap"), "fc2", 7);
  g.loss(g.dense(g.add(f, p, "sum"), "fc3", 4));
  return g;
}

}  // namespace

TEST_CASE("gradients of a graph with all kinds of layers are finite differences") {
  const Graph graph = everything();
  const std::int64_t batch = 3;
  ReferenceNetwork network(graph, batch);
  for (std::size_t p = 0; p < network.parameters.size(); ++p)
    network.parameters[p] = random_values(graph.parameters()[p].count(), 100 + p);
  for (std::size_t id = 0; id < graph.layers().size(); ++id)
    if (graph.layers()[id].op == Op::dropout)
      for (std::int64_t i = 0; i < batch * 7; ++i) network.masks[id].push_back(i % 2 == 0 ? 2 : 0);
  const Values images = random_values(batch * graph.shape(0).count(), 99);
  const std::vector<std::int32_t> labels = {3, 0, 2};
  const double loss = network.forward(images, labels);
  CHECK(loss > 0);
  network.backward();
  const std::vector<Values> gradients = network.gradients;
  double largest = 0;
  for (std::size_t p = 0; p < gradients.size(); ++p)
    for (std::size_t i = 0; i < gradients[p].size(); ++i) {
      const double at = network.parameters[p][i], h = 6e-6;
      network.parameters[p][i] = at + h;
      const double above = network.forward(images, labels);
      network.parameters[p][i] = at - h;
      const double below = network.forward(images, labels);
      network.parameters[p][i] = at;
      INFO(graph.parameters()[p].name << " " << i);
      REQUIRE(std::fabs((above - below) / (2 * h) - gradients[p][i]) <= 1e-6);
      largest = std::max(largest, std::fabs(gradients[p][i]));
    }
  CHECK(largest > 0.1);
}

TEST_CASE("five SGD steps of the Top Flight network are PyTorch's") {
  const TopflightFixture fixture;
  const Graph graph = fixture.graph();
  ReferenceNetwork network(graph, fixture.batch());
  std::vector<Values> start, velocity;
  for (std::size_t p = 0; p < network.parameters.size(); ++p) {
    const std::vector<float> w = fixture.weights(graph, static_cast<int>(p));
    network.parameters[p].assign(w.begin(), w.end());
    velocity.emplace_back(w.size(), 0.0);
  }
  start = network.parameters;
  std::map<std::string, Values> running;
  for (int step = 0; step < fixture.steps(); ++step) {
    const std::vector<float> images = fixture.images(step);
    const double loss = network.forward(Values(images.begin(), images.end()), fixture.labels(step));
    INFO("step " << step);
    CHECK(loss == Approx(fixture.losses()[step]).epsilon(1e-11));
    for (std::size_t id = 0; id < graph.layers().size(); ++id) {
      const Layer& layer = graph.layers()[id];
      if (layer.op != Op::batch_norm) continue;
      const ReferenceLayer& l = network.layer(static_cast<int>(id));
      const auto count = static_cast<double>(fixture.batch() * layer.in.height * layer.in.width);
      Values &mean = running[layer.name + ".running_mean"],
             &variance = running[layer.name + ".running_var"];
      mean.resize(l.mean.size(), 0);
      variance.resize(l.mean.size(), 1);
      for (std::size_t c = 0; c < l.mean.size(); ++c) {
        mean[c] += layer.momentum * (l.mean[c] - mean[c]);
        variance[c] += layer.momentum * (l.variance[c] * count / (count - 1) - variance[c]);
      }
    }
    network.backward();
    for (std::size_t p = 0; p < velocity.size(); ++p)
      for (std::size_t i = 0; i < velocity[p].size(); ++i) {
        velocity[p][i] = fixture.momentum() * velocity[p][i] + network.gradients[p][i];
        network.parameters[p][i] -= fixture.lr() * velocity[p][i];
      }
  }
  for (std::size_t p = 0; p < velocity.size(); ++p) {
    INFO(graph.parameters()[p].name);
    CHECK(fixture.difference(graph, static_cast<int>(p), network.parameters[p]) <= 1e-10);
    double change = 0, norm = 0;
    for (std::size_t i = 0; i < velocity[p].size(); ++i) {
      change += std::pow(network.parameters[p][i] - start[p][i], 2);
      norm += std::pow(start[p][i], 2);
    }
    // Biases in front of a batch norm do not move.
    CHECK(std::sqrt(change) == Approx(fixture.change(graph, static_cast<int>(p)))
                                   .epsilon(1e-9)
                                   .margin(1e-12 * std::sqrt(norm)));
    CHECK(fixture.difference(graph, static_cast<int>(p), start[p]) >
          (fixture.change(graph, static_cast<int>(p)) > 1e-6 ? 1e-5 : -1));  // it can fail
  }
  REQUIRE(running.size() == 6);
  for (const auto& [name, values] : running) {
    const std::vector<double>& wanted = fixture.record(name);
    REQUIRE(wanted.size() == values.size());
    for (std::size_t c = 0; c < values.size(); ++c)
      CHECK(values[c] == Approx(wanted[c]).epsilon(1e-9).margin(1e-10));
  }
}
