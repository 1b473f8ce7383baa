// SPDX-License-Identifier: BSD-3-Clause
// Finite differences in float64 for every layer, and layers against their definitions.
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "dlscale_catch.hpp"
#include "reference_tools.hpp"

using namespace dlscale;
using namespace dlscale::nn;
using namespace dlscale::nn::tools;

namespace {

constexpr double h = 6e-6;

/// Values far from kinks: away from zero, and all different by much more than h.
Values kinkless(std::int64_t count, std::uint64_t stream) {
  Values values(count);
  std::iota(values.begin(), values.end(), 0.0);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(values[i], values[mix64(stream * 1000 + static_cast<std::uint64_t>(i)) %
                                static_cast<std::uint64_t>(i + 1)]);
  for (double& v : values) v = (v + 0.5) / static_cast<double>(count) * 2 - 1 + 1e-3;
  return values;
}

ReferenceLayer reference_of(const Graph& graph, int id, std::int64_t batch) {
  const Layer& layer = graph.layer(id);
  ReferenceLayer l{.layer = layer, .batch = batch};
  for (const int from : layer.inputs)
    l.inputs.push_back(kinkless(batch * graph.shape(from).count(), 10 + l.inputs.size()));
  for (const int p : layer.parameters)
    l.parameters.push_back(random_values(graph.parameters()[p].count(), 20 + l.parameters.size()));
  if (layer.op == Op::dropout)
    for (std::int64_t i = 0; i < batch * layer.in.count(); ++i) l.mask.push_back(i % 3 == 0 ? 0 : 1.5);
  if (layer.op == Op::softmax_cross_entropy)
    for (std::int64_t n = 0; n < batch; ++n)
      l.labels.push_back(static_cast<std::int32_t>(2 * n % layer.in.channels));
  return l;
}

double dot(const Values& a, const Values& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Every element of every gradient of Σ r·y against central differences.
void check_gradients(ReferenceLayer l) {
  const Values y = l.forward();
  const Values r = l.layer.op == Op::softmax_cross_entropy
                       ? Values{1}
                       : random_values(static_cast<std::int64_t>(y.size()), 30);
  REQUIRE(static_cast<std::int64_t>(y.size()) ==
          (l.layer.op == Op::softmax_cross_entropy ? 1 : l.batch * l.layer.out.count()));
  l.backward(r);
  const auto check = [&](std::vector<Values>& variables, const std::vector<Values>& gradients) {
    for (std::size_t k = 0; k < variables.size(); ++k)
      for (std::size_t i = 0; i < variables[k].size(); ++i) {
        const double at = variables[k][i];
        variables[k][i] = at + h;
        const double above = dot(l.forward(), r);
        variables[k][i] = at - h;
        const double below = dot(l.forward(), r);
        variables[k][i] = at;
        const double difference = (above - below) / (2 * h) - gradients[k][i];
        INFO(l.layer.name << " variable " << k << " element " << i);
        REQUIRE(std::fabs(difference) <= 1e-6);
      }
  };
  const std::vector<Values> inputs = l.input_gradients, parameters = l.parameter_gradients;
  check(l.inputs, inputs);
  check(l.parameters, parameters);
}

Graph graph_of(Shape shape) {
  return Graph("test", shape);
}

}  // namespace

TEST_CASE("gradients of convolutions and dense layers are finite differences") {
  const auto conv = [](Shape in, std::int64_t filters, const Window& w, std::int64_t groups, bool bias) {
    Graph graph = graph_of(in);
    const int id = graph.conv(0, "conv", filters, {w, groups, bias});
    check_gradients(reference_of(graph, id, 2));
  };
  conv({3, 5, 6}, 4, Window::square(3, 1, 1), 1, true);
  conv({2, 7, 5}, 3, {3, 2, 2, 3, 0, 2, 1, 0}, 1, true);
  conv({6, 4, 5}, 4, Window::square(3, 2, 1), 2, false);
  conv({4, 5, 4}, 4, Window::same({4, 5, 4}, 3, 2), 4, true);
  conv({3, 1, 1}, 2, Window::square(3, 1, 1), 1, true);
  conv({2, 9, 9}, 2, {2, 1, 3, 4, 0, 0, 0, 0}, 1, false);
  for (const bool bias : {true, false}) {
    Graph graph = graph_of({3, 2, 3});
    check_gradients(reference_of(graph, graph.dense(0, "dense", 5, bias), 3));
  }
}

TEST_CASE("gradients of the other layers are finite differences") {
  const auto check = [](Shape in, std::int64_t batch, const std::function<int(Graph&)>& add) {
    Graph graph = graph_of(in);
    check_gradients(reference_of(graph, add(graph), batch));
  };
  check({3, 4, 5}, 3, [](Graph& g) { return g.batch_norm(0, "bn"); });
  check({2, 1, 1}, 5, [](Graph& g) { return g.batch_norm(0, "bn", 1e-2); });
  check({3, 4, 5}, 2, [](Graph& g) { return g.relu(0, "relu"); });
  check({2, 7, 7}, 2, [](Graph& g) { return g.max_pool(0, "pool", Window::square(2, 2)); });
  check({2, 7, 6}, 2, [](Graph& g) { return g.max_pool(0, "pool", {3, 2, 2, 1, 1, 2, 0, 1}); });
  for (const bool padding : {false, true})
    check({2, 7, 6}, 2, [&](Graph& g) {
      return g.avg_pool(0, "pool", {3, 2, 2, 1, 1, 2, 0, 1}, padding);
    });
  check({3, 4, 5}, 2, [](Graph& g) { return g.global_avg_pool(0, "pool"); });
  check({3, 4, 5}, 2, [](Graph& g) { return g.dropout(0, "dropout", 1.0 / 3); });
  check({3, 4, 5}, 2, [](Graph& g) { return g.add(0, 0, "add"); });
  check({3, 4, 5}, 2, [](Graph& g) {
    return g.concat({0, g.conv(0, "other", 2, {Window::square(1)}), 0}, "concat");
  });
  check({2, 3, 2}, 2, [](Graph& g) { return g.zero_pad(0, "pad", {1, 1, 1, 1, 1, 2, 3, 0}); });
  check({7, 1, 1}, 4, [](Graph& g) { return g.loss(0); });
}

TEST_CASE("convolutions are their definition") {
  const std::vector<ConvProblem> problems = {
      {2, {6, 8, 7}, 9, 3, {3, 2, 2, 1, 1, 0, 0, 1}},
      {3, {5, 9, 11}, 7, 1, {3, 5, 2, 3, 0, 1, 2, 1}},
  };
  for (const ConvProblem& p : problems) {
    Graph graph = graph_of(p.in);
    ReferenceLayer l =
        reference_of(graph, graph.conv(0, "conv", p.filters, {p.window, p.groups, true}), p.batch);
    const Shape out = output_of(p);
    const Values y = l.forward();
    std::int64_t i = 0;
    for (std::int64_t n = 0; n < p.batch; ++n)
      for (std::int64_t o = 0; o < out.channels; ++o)
        for (std::int64_t a = 0; a < out.height; ++a)
          for (std::int64_t b = 0; b < out.width; ++b, ++i) {
            const std::int64_t in_group = p.in.channels / p.groups;
            double sum = l.parameters[1][o];
            for (std::int64_t c = 0; c < in_group; ++c)
              for (std::int64_t kh = 0; kh < p.window.kernel_h; ++kh)
                for (std::int64_t kw = 0; kw < p.window.kernel_w; ++kw) {
                  const std::int64_t row = a * p.window.stride_h + kh - p.window.pad_top;
                  const std::int64_t col = b * p.window.stride_w + kw - p.window.pad_left;
                  if (row < 0 || row >= p.in.height || col < 0 || col >= p.in.width) continue;
                  const std::int64_t channel = o / (p.filters / p.groups) * in_group + c;
                  sum +=
                      l.inputs[0]
                              [((n * p.in.channels + channel) * p.in.height + row) * p.in.width + col] *
                      l.parameters[0][((o * in_group + c) * p.window.kernel_h + kh) * p.window.kernel_w +
                                      kw];
                }
            REQUIRE(y[i] == Approx(sum).margin(1e-13));
          }
  }
}

TEST_CASE("pools: floor, ties, padding") {
  const auto forward = [](const Shape& in, const Values& x, const std::function<int(Graph&)>& add) {
    Graph graph = graph_of(in);
    ReferenceLayer l = reference_of(graph, add(graph), 1);
    l.inputs[0] = x;
    const Values y = l.forward();
    l.backward(Values(y.size(), 1.0));
    return std::pair(y, l.input_gradients[0]);
  };
  SECTION("the last row and column are dropped, and the first of equal values takes the gradient") {
    const auto [y, dx] = forward({1, 3, 5}, {2, 2, 1, 7, 9, 2, 2, 7, 7, 9, 9, 9, 9, 9, 9},
                                 [](Graph& g) { return g.max_pool(0, "p", Window::square(2, 2)); });
    CHECK(y == Values{2, 7});
    CHECK(dx == Values{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  }
  SECTION("padding is never the maximum") {
    const auto [y, dx] = forward({1, 1, 2}, {-3, -5},
                                 [](Graph& g) { return g.max_pool(0, "p", Window::square(3, 1, 1)); });
    CHECK(y == Values{-3, -3});
    CHECK(dx == Values{2, 0});
  }
  SECTION("average with and without padding") {
    const auto pool = [&](bool padding) {
      return forward({1, 1, 2}, {3, 6}, [&](Graph& g) {
        return g.avg_pool(0, "p", {1, 2, 1, 1, 0, 0, 1, 0}, padding);
      });
    };
    CHECK(pool(true).first == Values{1.5, 4.5});
    CHECK(pool(false).first == Values{3, 4.5});
    CHECK(pool(true).second == Values{1, 0.5});
    CHECK(pool(false).second == Values{1.5, 0.5});
  }
  SECTION("NaN comes through") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto [y, dx] = forward({1, 1, 4}, {1, nan, nan, 0}, [](Graph& g) {
      return g.max_pool(0, "p", {1, 2, 1, 2});
    });
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[1]));
  }
}

TEST_CASE("batch norm, concat, zero_pad and the loss by hand") {
  Graph graph = graph_of({1, 1, 2});
  const int norm = graph.batch_norm(0, "bn", 0.25),
            pad = graph.zero_pad(0, "pad", {1, 1, 1, 1, 0, 1, 2, 0});
  const int two = graph.concat({0, 0}, "concat");
  ReferenceLayer l = reference_of(graph, norm, 2);
  l.inputs[0] = {1, 3, 1, 3};
  l.parameters = {{2}, {10}};
  const Values y = l.forward();
  CHECK(l.mean == Values{2});
  CHECK(l.variance == Values{1});
  CHECK(y[0] == Approx(10 - 2 / std::sqrt(1.25)));
  ReferenceLayer padded = reference_of(graph, pad, 1);
  padded.inputs[0] = {5, 6};
  CHECK(padded.forward() == Values{0, 0, 5, 6, 0, 0, 0, 0});
  ReferenceLayer joined = reference_of(graph, two, 2);
  joined.inputs = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  CHECK(joined.forward() == Values{1, 2, 5, 6, 3, 4, 7, 8});

  Graph classes = graph_of({3, 1, 1});
  ReferenceLayer loss = reference_of(classes, classes.loss(0), 2);
  loss.inputs[0] = {0, 0, 0, 1000, 0, 0};
  loss.labels = {1, 0};
  CHECK(loss.forward()[0] == Approx(std::log(3.0) / 2));
}
