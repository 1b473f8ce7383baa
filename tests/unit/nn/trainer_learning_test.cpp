// SPDX-License-Identifier: BSD-3-Clause
// The trainer on a real executor: learning and failing.
#include <cmath>
#include <string>
#include <vector>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "scripted_executor.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

/// Losses of `epochs` epochs on the real executor.
std::vector<double> losses(int workers, std::uint64_t seed, int epochs = 2) {
  const Graph graph = network();
  const auto loader = make_loader(images(43, 1), false, batches_of(8, workers));
  ExecutorOptions options;
  options.seed = seed;
  options.optimizer.kind = OptimizerKind::adam;
  const auto executor = make_cpu_executor(graph, options);
  Trainer trainer(graph, *executor, *loader, 8);
  executor->initialise();
  std::vector<double> all;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    trainer.start_epoch(epoch);
    while (trainer.step()) all.push_back(trainer.last_loss());
  }
  return all;
}

}  // namespace

TEST_CASE("losses depend on the seed, not on who builds the batches") {
  const std::vector<double> alone = losses(0, 3);
  REQUIRE(alone.size() == 2 * 6);
  for (const double loss : alone) CHECK(std::isfinite(loss));
  CHECK(losses(2, 3) == alone);
  CHECK(losses(0, 3) == alone);
  CHECK(losses(0, 4) != alone);
}

TEST_CASE("a learning rate that makes no sense fails within steps, the tensor being named") {
  const auto [name, image, kind] =
      GENERATE(table<std::string, int, OptimizerKind>({{"topflight-cnn", 0, OptimizerKind::sgd},
                                                       {"topflight-cnn", 0, OptimizerKind::adam},
                                                       {"vgg19", 32, OptimizerKind::sgd}}));
  const Graph graph = find_model(name)->build({.image = image, .classes = 10});
  LoaderOptions loader_options = batches_of(2);
  loader_options.input = graph.shape(0);
  const auto loader = make_loader(images(16, 1), false, loader_options);
  ExecutorOptions options;
  options.optimizer.kind = kind;
  options.optimizer.lr = 1e6;
  const auto executor = make_cpu_executor(graph, options);
  Trainer trainer(graph, *executor, *loader, 2);
  executor->initialise();
  trainer.start_epoch(0);
  const std::string message = message_of([&] {
    for (int i = 0; i < 8; ++i) trainer.step();
  });
  INFO(name << ": " << message);
  CHECK(contains(message, "training failed at step "));
  bool named = false;
  for (const Parameter& p : graph.parameters()) named |= contains(message, p.name);
  for (const Layer& l : graph.layers()) named |= contains(message, "output of " + l.name);
  CHECK(named);
}
