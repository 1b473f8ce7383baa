// SPDX-License-Identifier: BSD-3-Clause
// The check of train: every layer in every pass, each by its own algorithm.
#include <functional>
#include <memory>
#include <utility>

#include "../nn/forwarding_executor.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "train_params.hpp"

using namespace dlscale;

namespace {

/// The check of one step of `graph`, made by `changed`, which may be another executor on top of the real
/// one that gets it.
Check check_of(const nn::Graph& graph, const Params& params,
               const std::function<std::unique_ptr<nn::Executor>(nn::Executor&)>& changed) {
  const auto real = nn::make_cpu_executor(graph, train_options(params, 1, 3));
  const auto executor = changed(*real);
  const int batch = network_batch(params);
  executor->prepare(batch, nn::Mode::training);
  executor->initialise();
  std::vector<float> images(static_cast<std::size_t>(batch) *
                            static_cast<std::size_t>(graph.shape(0).count()));
  fill_uniform(std::span(images), 3, 1);
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(batch), 1);
  executor->load(images, labels, batch, nn::Mode::training);
  return check_layers(graph, *executor, batch, nn::Mode::training, labels, params, 3);
}

/// Shows its pieces to a check but for some.
class Hiding final : public nn::ForwardingExecutor {
 public:
  Hiding(nn::Executor& real, std::function<bool(const nn::LayerView&)> hidden)
      : ForwardingExecutor(real), hidden_(std::move(hidden)) {}
  void observe(std::function<void(const nn::LayerView&)> observer) override {
    if (!observer) return ForwardingExecutor::observe({});
    ForwardingExecutor::observe([observer = std::move(observer), this](const nn::LayerView& view) {
      if (!hidden_(view)) observer(view);
    });
  }

 private:
  std::function<bool(const nn::LayerView&)> hidden_;
};

}  // namespace

TEST_CASE("a check that has not seen every layer in every pass fails") {
  const Params params = train_params({{"batch", whole(2)}, {"image", whole(8)}});
  const nn::Graph graph = network_graph(params);
  const auto check_without = [&](const std::function<bool(const nn::LayerView&)>& hidden) {
    return check_of(graph, params,
                    [&](nn::Executor& real) { return std::make_unique<Hiding>(real, hidden); });
  };
  CHECK(check_without([](const nn::LayerView&) { return false; }).passed());
  const Check nothing = check_without([](const nn::LayerView&) { return true; });
  CHECK_FALSE(nothing.passed());
  CHECK(contains(nothing.message, "the check has seen 0 of "));
  for (const bool backward : {false, true})
    for (const char* name : {"conv2", "bn1", "pool1", "fc1", "loss"}) {
      const Check check = check_without([&](const nn::LayerView& view) {
        const int first = view.fused.empty() ? view.layer : view.fused.front();
        return view.backward == backward && graph.layer(first).name == name;
      });
      INFO(name << (backward ? " backward: " : " forward: ") << check.message);
      CHECK_FALSE(check.passed());
      CHECK(contains(check.message, backward ? "of the backward pass" : "of the forward pass"));
    }
}

TEST_CASE("only what is computed by Winograd's algorithm is judged as such") {
  // Strided convolutions, which no library has it for: asking for it changes no bit and no judgement.
  const auto check_with = [](const char* algorithm) {
    const Params params = train_params(
        {{"model", text("aalto-conv2d")}, {"batch", whole(2)}, {"algorithm", text(algorithm)}});
    const nn::Graph graph = network_graph(params);
    int conv = 0;
    while (graph.layer(conv).name != "conv2") ++conv;
    return check_of(graph, params, [&](nn::Executor& real) {
      real.corrupt(conv, false, 100);
      return std::make_unique<nn::ForwardingExecutor>(real);
    });
  };
  const Check direct = check_with("direct");
  INFO(direct.method);
  REQUIRE_FALSE(direct.passed());
  REQUIRE(contains(direct.method, "conv2 forward"));
  CHECK(check_with("winograd").error == direct.error);
}
