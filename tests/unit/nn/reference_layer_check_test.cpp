// SPDX-License-Identifier: BSD-3-Clause
// check_layer on views of every kind of layer: rounding passes; wrong, missing and NaN values fail, and
// the verdict names the tensor.
#include <algorithm>
#include <functional>
#include <limits>

#include "dlscale_catch.hpp"
#include "reference_tools.hpp"

using namespace dlscale;
using namespace dlscale::nn;
using namespace dlscale::nn::tools;

namespace {

constexpr std::int64_t layer_batch = 6;

LayerTolerance tolerance_of(bool bf16) {
  LayerTolerance u;
  if (bf16) u.u_out = 0x1p-8;
  return u;
}

Values doubles(const Floats& v) {
  return {v.begin(), v.end()};
}
Floats stored(const Values& values, bool bf16) {
  Floats v(values.size());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(values[i]);
  if (bf16) round_to_bf16(v);
  return v;
}

/// What an executor without faults would show of one layer, or of a layer and the ReLU behind it.
struct Shown {
  LayerView view;
  std::vector<std::int32_t> labels;
};
Shown show(const Graph& graph, int id, bool backward, bool bf16, bool fused) {
  const Layer& layer = graph.layer(id);
  Shown s;
  s.view.layer = fused ? id + 1 : id;
  if (fused) s.view.fused = {id, id + 1};
  s.view.backward = backward;
  ReferenceLayer l{.layer = layer, .batch = layer_batch};
  for (const int from : layer.inputs)
    s.view.inputs.push_back(
        random_floats(layer_batch * graph.shape(from).count(), 40 + s.view.inputs.size(), bf16));
  for (const int p : layer.parameters)
    s.view.parameters.push_back(
        random_floats(graph.parameters()[p].count(), 50 + s.view.parameters.size(), bf16));
  if (layer.op == Op::dropout)
    for (std::int64_t i = 0; i < layer_batch * layer.in.count(); ++i)
      s.view.mask.push_back(i % 4 == 0 ? 0.0F : 4.0F / 3);
  if (layer.op == Op::softmax_cross_entropy)
    for (std::int32_t n = 0; n < layer_batch; ++n) s.labels.push_back(n % 5);
  for (const Floats& x : s.view.inputs) l.inputs.push_back(doubles(x));
  for (const Floats& w : s.view.parameters) l.parameters.push_back(doubles(w));
  l.mask = doubles(s.view.mask);
  l.labels = s.labels;
  Values y = l.forward();
  if (fused)
    for (double& v : y) v = std::max(v, 0.0);
  s.view.output = stored(y, bf16 && layer.op != Op::softmax_cross_entropy);
  s.view.mean = stored(l.mean, false);
  s.view.variance = stored(l.variance, false);
  if (!backward) return s;
  s.view.output_gradient = random_floats(static_cast<std::int64_t>(y.size()), 60, bf16);
  if (layer.op == Op::softmax_cross_entropy) s.view.output_gradient = {1};
  Values dy = doubles(s.view.output_gradient);
  if (fused)
    for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = s.view.output[i] > 0 ? dy[i] : 0;
  l.backward(dy);
  for (const Values& dx : l.input_gradients) s.view.input_gradients.push_back(stored(dx, bf16));
  for (const Values& dw : l.parameter_gradients) s.view.parameter_gradients.push_back(stored(dw, false));
  return s;
}

void check_view(const Graph& graph, int id, bool backward, bool bf16, bool fused) {
  const Shown good = show(graph, id, backward, bf16, fused);
  const std::string& name = graph.layer(id).name;
  const auto check = [&](const LayerView& view) {
    return check_layer(graph.layer(view.layer), graph, layer_batch, view, good.labels,
                       tolerance_of(bf16), 3);
  };
  const LayerVerdict clean = check(good.view);
  INFO(name << (backward ? " backward" : " forward") << (bf16 ? " bf16 " : " f32 ") << clean.what << " "
            << clean.ratio);
  REQUIRE(clean.ratio <= 1);
  REQUIRE_FALSE(clean.what.empty());

  using Tensor = std::function<Floats&(LayerView&)>;
  const auto plant = [&](const std::string& what, const Tensor& tensor, bool required) {
    LayerView view = good.view;
    const Floats original = tensor(view);
    if (original.empty()) return;
    const auto fails = [&](const char* how) {
      const LayerVerdict verdict = check(view);
      INFO(how << ": " << verdict.what << " " << verdict.ratio);
      CHECK_FALSE(verdict.ratio <= 1);
      CHECK(verdict.what.substr(0, what.size()) == what);
      tensor(view) = original;
    };
    const auto off = static_cast<float>(sigma(original));
    for (std::size_t i = 0; i < original.size(); i += 1 + original.size() / 5) {
      tensor(view)[i] += off;
      fails("off by a standard deviation");
    }
    tensor(view).back() = std::numeric_limits<float>::quiet_NaN();
    fails("NaN");
    std::fill(tensor(view).begin(), tensor(view).end(), 0.0F);
    fails("all zero");
    if (!required) return;
    tensor(view).clear();
    const LayerVerdict verdict = check(view);
    CHECK_FALSE(verdict.ratio <= 1);
    CHECK(verdict.what.find(name) != std::string::npos);
  };
  if (!backward) {
    plant(
        graph.layer(good.view.layer).name + " forward", [](LayerView& v) -> Floats& { return v.output; },
        false);
    LayerView view = good.view;
    view.output.clear();
    CHECK_FALSE(check(view).ratio <= 1);
    plant(
        "statistics of " + name, [](LayerView& v) -> Floats& { return v.mean; }, true);
    plant(
        "statistics of " + name, [](LayerView& v) -> Floats& { return v.variance; }, true);
    return;
  }
  for (std::size_t i = 0; i < good.view.input_gradients.size(); ++i)
    plant(
        name + " backward data", [i](LayerView& v) -> Floats& { return v.input_gradients[i]; },
        graph.needs_gradient(graph.layer(id).inputs[i]));
  for (std::size_t i = 0; i < good.view.parameter_gradients.size(); ++i)
    plant(
        "gradient of " + graph.parameters()[graph.layer(id).parameters[i]].name,
        [i](LayerView& v) -> Floats& { return v.parameter_gradients[i]; }, true);
}

/// Every kind of layer behind a first convolution, so that all need gradients.
Graph one_of_each() {
  Graph g("layers", {3, 8, 9});
  const int a = g.conv(0, "first", 8, {Window::square(1)});
  g.conv(a, "conv", 12, {{3, 2, 2, 1, 1, 0, 0, 1}, 2, true});
  g.relu(2, "conv relu");
  g.batch_norm(a, "bn");
  g.relu(4, "bn relu");
  g.max_pool(a, "max", Window::square(3, 2, 1));
  g.avg_pool(a, "avg", Window::square(3, 2, 1), true);
  g.avg_pool(a, "avg2", Window::square(3, 1, 1), false);
  g.global_avg_pool(a, "gap");
  g.dropout(a, "dropout", 0.25);
  g.add(a, a, "add");
  g.concat({a, 10, a}, "concat");
  g.zero_pad(a, "pad", {1, 1, 1, 1, 1, 2, 0, 1});
  const int d = g.dense(a, "dense", 10);
  g.relu(d, "dense relu");
  g.loss(d);
  return g;
}

}  // namespace

TEST_CASE("every layer's view: rounding passes, faults fail and are named") {
  const Graph graph = one_of_each();
  for (std::size_t id = 1; id < graph.layers().size(); ++id)
    for (const bool backward : {false, true})
      for (const bool bf16 : {false, true})
        check_view(graph, static_cast<int>(id), backward, bf16, false);
}

TEST_CASE("views of a layer fused with the ReLU behind it") {
  const Graph graph = one_of_each();
  for (const int id : {2, 4, 14}) {
    REQUIRE(graph.layer(id + 1).op == Op::relu);
    for (const bool backward : {false, true})
      for (const bool bf16 : {false, true}) check_view(graph, id, backward, bf16, true);
  }
  Shown odd = show(graph, 2, false, false, true);
  odd.view.fused = {2, 4};  // not a ReLU
  CHECK_FALSE(check_layer(graph.layer(4), graph, layer_batch, odd.view, {}, {}, 1).ratio <= 1);
}

TEST_CASE("gradients that nobody needs may be missing") {
  Graph graph("frozen", {2, 4, 4});
  graph.trainable(false);
  const int first = graph.conv(0, "frozen", 3, {Window::square(3, 1, 1)});
  graph.trainable(true);
  const int second = graph.conv(first, "trained", 3, {Window::square(3, 1, 1)});
  Shown s = show(graph, first, true, false, false);
  s.view.input_gradients.clear();
  s.view.parameter_gradients.clear();
  CHECK(check_layer(graph.layer(first), graph, layer_batch, s.view, {}, {}, 1).ratio <= 1);
  s = show(graph, second, true, false, false);
  s.view.input_gradients.clear();
  CHECK(check_layer(graph.layer(second), graph, layer_batch, s.view, {}, {}, 1).ratio <= 1);
  s.view.parameter_gradients.clear();
  CHECK_FALSE(check_layer(graph.layer(second), graph, layer_batch, s.view, {}, {}, 1).ratio <= 1);
}

TEST_CASE("a dropout mask must be one") {
  const Graph graph = one_of_each();
  const int id = 10;
  REQUIRE(graph.layer(id).op == Op::dropout);
  Shown s = show(graph, id, false, false, false);
  const auto ratio = [&] {
    for (std::size_t i = 0; i < s.view.mask.size(); ++i)
      s.view.output[i] = s.view.inputs[0][i] * s.view.mask[i];
    return check_layer(graph.layer(id), graph, layer_batch, s.view, {}, {}, 1).ratio;
  };
  CHECK(ratio() <= 1);
  const Floats good = s.view.mask;
  s.view.mask[1] = 1;
  CHECK_FALSE(ratio() <= 1);
  std::fill(s.view.mask.begin(), s.view.mask.end(), 4.0F / 3);
  CHECK_FALSE(ratio() <= 1);
  std::fill(s.view.mask.begin(), s.view.mask.end(), 0.0F);
  CHECK_FALSE(ratio() <= 1);
  // Nothing dropped, and no mask to show it.
  s.view.mask.clear();
  s.view.output = s.view.inputs[0];
  CHECK_FALSE(check_layer(graph.layer(id), graph, layer_batch, s.view, {}, {}, 1).ratio <= 1);
}

namespace {

/// Batch norm in float32, sums image by image, the variance from one pass or two. (One long sum of
/// 50,000 squares of bf16 values is off by 20 standard deviations: squares of few bits do not round at
/// random.)
void float_norm(LayerView& v, const Layer& layer, bool one_pass, bool bf16) {
  const std::int64_t channels = layer.in.channels, pixels = layer.in.height * layer.in.width;
  const std::int64_t images = static_cast<std::int64_t>(v.inputs[0].size()) / layer.in.count();
  const auto count = static_cast<float>(images * pixels);
  v.mean.assign(channels, 0);
  v.variance.assign(channels, 0);
  v.output.resize(v.inputs[0].size());
  v.input_gradients = {Floats(v.output.size())};
  v.parameter_gradients = {Floats(channels), Floats(channels)};
  for (std::int64_t c = 0; c < channels; ++c) {
    const Floats &x = v.inputs[0], &dy = v.output_gradient;
    const auto sum_of = [&](auto term) {
      float total = 0;
      for (std::int64_t n = 0; n < images; ++n) {
        float part = 0;
        for (std::int64_t p = 0; p < pixels; ++p) part += term((n * channels + c) * pixels + p);
        total += part;
      }
      return total;
    };
    const float mean = sum_of([&](auto i) { return x[i]; }) / count;
    const float squares =
        sum_of([&](auto i) { return one_pass ? x[i] * x[i] : (x[i] - mean) * (x[i] - mean); });
    const float variance = squares / count - (one_pass ? mean * mean : 0);
    const float factor = 1 / std::sqrt(variance + static_cast<float>(layer.epsilon));
    const float gamma = v.parameters[0][c], beta = v.parameters[1][c];
    const float dbeta = sum_of([&](auto i) { return dy[i]; });
    const float dgamma = sum_of([&](auto i) { return dy[i] * ((x[i] - mean) * factor); });
    for (std::int64_t n = 0; n < images; ++n)
      for (std::int64_t i = (n * channels + c) * pixels; i < (n * channels + c + 1) * pixels; ++i) {
        const float normal = (x[i] - mean) * factor;
        v.output[i] = gamma * normal + beta;
        v.input_gradients[0][i] = gamma * factor * (dy[i] - dbeta / count - normal * dgamma / count);
      }
    v.mean[c] = mean;
    v.variance[c] = variance;
    v.parameter_gradients[0][c] = dgamma;
    v.parameter_gradients[1][c] = dbeta;
  }
  if (!bf16) return;
  round_to_bf16(v.output);
  round_to_bf16(v.input_gradients[0]);
}

}  // namespace

TEST_CASE("batch norm in float32 at real size passes, and small faults of its statistics fail") {
  for (const bool bf16 : {false, true})
    for (const bool one_pass : {false, true})
      for (const float offset : {0.0F, 2.0F}) {
        Graph graph("norm", {6, 28, 28});
        const int id = graph.batch_norm(graph.conv(0, "conv", 6, {Window::square(1)}), "bn");
        const std::int64_t images = 64, count = images * graph.shape(id).count();
        LayerView view;
        view.layer = id;
        view.inputs = {random_floats(count, 1)};
        for (float& x : view.inputs[0]) x = bf16 ? to_bf16(x + offset) : x + offset;
        view.output_gradient = random_floats(count, 2, bf16);
        view.parameters = {random_floats(6, 3), random_floats(6, 4)};
        float_norm(view, graph.layer(id), one_pass, bf16);
        const LayerView good = view;
        for (const bool backward : {false, true}) {
          const auto check = [&] {
            return check_layer(graph.layer(id), graph, images, view, {}, tolerance_of(bf16), 1);
          };
          view.backward = backward;
          const LayerVerdict clean = check();
          INFO("bf16 " << bf16 << " one pass " << one_pass << " offset " << offset << ": " << clean.what
                       << " " << clean.ratio);
          CHECK(clean.ratio <= 1);
          CHECK(clean.ratio > 1e-5);
        }
        // Statistics of half of the batch.
        view = good;
        view.inputs[0].resize(view.inputs[0].size() / 2);
        view.output_gradient.resize(view.inputs[0].size());
        float_norm(view, graph.layer(id), one_pass, bf16);
        LayerView half = good;
        half.mean = view.mean;
        half.variance = view.variance;
        CHECK_FALSE(check_layer(graph.layer(id), graph, images, half, {}, tolerance_of(bf16), 1).ratio <=
                    1);
        view = good;
        for (float& v : view.output) v *= 1.01F;
        CHECK_FALSE(check_layer(graph.layer(id), graph, images, view, {}, tolerance_of(bf16), 1).ratio <=
                    1);
      }
}
