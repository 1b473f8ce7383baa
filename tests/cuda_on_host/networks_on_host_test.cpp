// SPDX-License-Identifier: BSD-3-Clause
// The GPU's executor with its kernels as functions of the host and stand-ins for cuDNN and cuBLASLt:
// layouts, lifetimes of tensors, formulas and views, judged by float64 and by the CPU's executor. What
// the real libraries do, streams and graphs are not tested here.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "cuda/nn/gpu_executor.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "nn/gpu_memory.hpp"
#include "nn/models.hpp"
#include "nn/trainer.hpp"
#include "workloads/network_gpu.hpp"

extern bool host_cudnn_refuses_fusion;

namespace dlscale {
std::unique_ptr<Workload> make_conv2d_cuda(const WorkContext& context);
std::unique_ptr<Workload> make_train_cuda(const WorkContext& context);
std::unique_ptr<Workload> make_infer_cuda(const WorkContext& context);
}  // namespace dlscale

using namespace dlscale;
using namespace dlscale::nn;

namespace {

/// Every kind of layer, odd sizes, padding that differs from side to side, groups, tensors with several
/// users.
Graph zoo() {
  Graph g("zoo", {3, 13, 11});
  const Window apart{3, 2, 2, 1, 0, 1, 1, 0};
  int at = g.conv(0, "conv_apart", 8, {apart, 1, true});
  at = g.batch_norm(at, "norm1");
  at = g.relu(at, "relu1");
  const int left = g.conv(at, "grouped", 8, {Window::square(3, 1, 1), 2, true});
  const int relu = g.relu(left, "grouped_relu");
  const int right = g.max_pool(at, "pool1", {3, 3, 1, 1, 1, 1, 1, 1});
  int sum = g.add(relu, right, "sum");
  const int mean = g.avg_pool(sum, "mean", {2, 2, 1, 1, 1, 0, 0, 1});
  const int rest = g.avg_pool(at, "mean_all", {2, 2, 1, 1, 0, 1, 1, 0}, true);
  const int both = g.concat({mean, rest, sum}, "both");
  at = g.zero_pad(both, "zeros", {1, 1, 1, 1, 2, 0, 1, 3});
  at = g.batch_norm(at, "norm2");
  at = g.conv(at, "point", 5, {Window::square(1), 1, false});
  at = g.relu(at, "alone");
  at = g.relu(at, "again");
  at = g.max_pool(at, "pool2", Window::same(g.shape(at), 3, 2));
  at = g.dense(at, "dense1", 12);
  at = g.relu(at, "dense_relu");
  at = g.dropout(at, "drop", 0.25);
  at = g.dense(at, "dense2", 7, false);
  g.loss(at);
  return g;
}

struct Batch {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};
Batch batch_of(const Graph& graph, int count, std::uint64_t seed) {
  Batch b;
  b.images.resize(static_cast<std::size_t>(count) * static_cast<std::size_t>(graph.shape(0).count()));
  fill_uniform(std::span(b.images), seed, 1);
  for (int i = 0; i < count; ++i)
    b.labels.push_back(static_cast<std::int32_t>(bits_at(seed, static_cast<std::uint64_t>(i)) %
                                                 static_cast<std::uint64_t>(graph.classes())));
  return b;
}

Check checked(const Graph& graph, Executor& executor, const Batch& batch, Mode mode, const char* dtype) {
  Params params;
  params.set("dtype", std::string(dtype));
  const auto count = static_cast<int>(batch.labels.size());
  executor.load(batch.images, mode == Mode::training ? batch.labels : std::vector<std::int32_t>(), count,
                mode);
  return check_layers(graph, executor, count, mode,
                      mode == Mode::training ? batch.labels : std::vector<std::int32_t>(), params, 3,
                      gpu_network_device(params));
}

ExecutorOptions options_of(const char* dtype, bool trains = true) {
  ExecutorOptions options;
  options.precision = std::string(dtype) == "bf16" ? Precision::bf16 : Precision::f32;
  options.seed = 11;
  options.trains = trains;
  options.first_bucket_bytes = 512;
  options.bucket_bytes = 4096;
  return options;
}

void statistics(const Graph& graph, Executor& executor) {
  for (std::size_t id = 0; id < graph.layers().size(); ++id) {
    if (graph.layers()[id].op != Op::batch_norm) continue;
    std::vector<float> mean(static_cast<std::size_t>(graph.layers()[id].out.channels)),
        variance(mean.size());
    for (std::size_t c = 0; c < mean.size(); ++c) {
      mean[c] = static_cast<float>(0.1 * uniform_at(id, 2 * c));
      variance[c] = static_cast<float>(1 + 0.5 * uniform_at(id, 2 * c + 1));
    }
    executor.write_statistics(static_cast<int>(id), mean, variance);
  }
}

double largest_difference(const Graph& graph, const Executor& a, const Executor& b) {
  double worst = 0;
  for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
    std::vector<float> x(static_cast<std::size_t>(graph.parameters()[p].count())), y(x.size());
    a.read_parameter(static_cast<int>(p), x);
    b.read_parameter(static_cast<int>(p), y);
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  }
  return worst;
}

/// Of one replica, in its place on the host; remembers what it was given.
class Alone final : public GradientReducer {
 public:
  int replicas() const override { return 1; }
  void start(int bucket) override { started.push_back(bucket); }
  void finish() override {}
  std::span<const BucketTimes> times() const override { return {}; }
  std::vector<int> started;
};

}  // namespace

TEST_CASE("every kind of layer on the GPU is right", "[cuda_on_host]") {
  const Graph graph = zoo();
  for (const char* dtype : {"f32", "bf16"})
    for (const bool refuses : {false, true}) {
      host_cudnn_refuses_fusion = refuses;
      const auto executor = cuda::dnn::make_gpu_executor(graph, options_of(dtype));
      executor->prepare(5, Mode::training);
      executor->initialise();
      const Batch batch = batch_of(graph, 5, 21);
      const Check check = checked(graph, *executor, batch, Mode::training, dtype);
      INFO(dtype << " " << check.method << " " << check.message);
      CHECK(check.error < 1);
      CHECK(check.error > 0);
    }
  host_cudnn_refuses_fusion = false;
}

TEST_CASE("folded inference on the GPU is right and like the CPU's", "[cuda_on_host]") {
  const Graph graph = zoo();
  for (const char* dtype : {"f32", "bf16"}) {
    const auto executor = cuda::dnn::make_gpu_executor(graph, options_of(dtype, false));
    executor->prepare(3, Mode::inference);
    executor->initialise();
    statistics(graph, *executor);
    const Batch batch = batch_of(graph, 3, 22);
    const Check check = checked(graph, *executor, batch, Mode::inference, dtype);
    INFO(dtype << " " << check.method << " " << check.message);
    CHECK(check.error < 1);
    if (std::string(dtype) != "f32") continue;
    const auto cpu = make_cpu_executor(graph, options_of(dtype, false));
    cpu->prepare(3, Mode::inference);
    cpu->initialise();
    statistics(graph, *cpu);
    for (Executor* each : {static_cast<Executor*>(executor.get()), cpu.get()}) {
      each->load(batch.images, batch.labels, 3, Mode::inference);
      each->forward();
    }
    CHECK(executor->loss() == Approx(cpu->loss()).epsilon(1e-5));
    CHECK(executor->correct() == cpu->correct());
    const auto a = executor->logits(), b = cpu->logits();
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(1e-5));
  }
}

TEST_CASE("steps on the GPU are those on the CPU", "[cuda_on_host]") {
  const Graph graph = find_model("topflight-cnn")->build({.image = 8, .classes = 10, .dropout = 0.5});
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
    ExecutorOptions options = options_of("f32");
    options.optimizer.kind = kind;
    options.optimizer.lr = kind == OptimizerKind::sgd ? 0.02 : 1e-3;
    options.optimizer.momentum = 0.9;
    const auto gpu = cuda::dnn::make_gpu_executor(graph, options);
    const auto ahead = cuda::dnn::make_gpu_executor(graph, options);
    const auto cpu = make_cpu_executor(graph, options);
    for (Executor* each :
         {static_cast<Executor*>(gpu.get()), static_cast<Executor*>(ahead.get()), cpu.get()}) {
      each->prepare(6, Mode::training);
      each->initialise();
    }
    CHECK(largest_difference(graph, *gpu, *cpu) == 0);
    for (std::uint64_t step = 0; step < 4; ++step) {
      const Batch batch = batch_of(graph, 6, 30 + step);
      for (Executor* each : {static_cast<Executor*>(gpu.get()), cpu.get()}) {
        each->load(batch.images, batch.labels, 6, Mode::training);
        each->forward();
        each->backward({});
        each->update(1);
        CHECK(each->finite());
      }
      CHECK(gpu->loss() == Approx(cpu->loss()).epsilon(1e-4));
      REQUIRE(ahead->runs_ahead());
      ahead->load(batch.images, batch.labels, 6, Mode::training);
      ahead->whole_step();
      const Executor::Outcome outcome = ahead->take_outcome();
      CHECK(outcome.loss == gpu->loss());
      CHECK(outcome.finite);
    }
    CHECK(largest_difference(graph, *gpu, *ahead) == 0);
    // Adam divides by the gradient's size: biases before a batch norm have none but rounding.
    CHECK(largest_difference(graph, *gpu, *cpu) < (kind == OptimizerKind::sgd ? 1e-5 : 5e-3));
    // Running statistics take the unbiased variance. With Adam the rounding in those biases moves means.
    for (int id = 0; id < static_cast<int>(graph.layers().size()); ++id) {
      if (graph.layer(id).op != Op::batch_norm || kind == OptimizerKind::adam) continue;
      const auto channels = static_cast<std::size_t>(graph.layer(id).out.channels);
      std::vector<float> mean(channels), variance(channels), wanted_mean(channels), wanted(channels);
      gpu->read_statistics(id, mean, variance);
      cpu->read_statistics(id, wanted_mean, wanted);
      for (std::size_t c = 0; c < channels; ++c) {
        CHECK(mean[c] == Approx(wanted_mean[c]).margin(1e-4));
        CHECK(variance[c] == Approx(wanted[c]).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("gradients reach the host bucket by bucket and come back", "[cuda_on_host]") {
  const Graph graph = find_model("topflight-cnn")->build({.image = 8, .classes = 10, .dropout = 0});
  const auto plain = cuda::dnn::make_gpu_executor(graph, options_of("f32"));
  const auto reduced = cuda::dnn::make_gpu_executor(graph, options_of("f32"));
  const auto loader = [&] {
    return make_random_loader(12, 10,
                              {.batch = 4, .drop_last = true, .seed = 5, .input = graph.shape(0)});
  };
  const auto one = loader(), other = loader();
  Trainer a(graph, *plain, *one, 4), b(graph, *reduced, *other, 4);
  plain->initialise();
  reduced->initialise();
  Alone alone;
  b.reduce_with(&alone);
  const std::vector<Bucket>& buckets = reduced->buckets();
  REQUIRE(buckets.size() > 3);
  for (Trainer* each : {&a, &b}) {
    each->start_epoch(0);
    while (each->step()) {
    }
    each->settle();
  }
  CHECK(largest_difference(graph, *plain, *reduced) == 0);
  REQUIRE(alone.started.size() == 3 * buckets.size());
  for (std::size_t i = 0; i < alone.started.size(); ++i)
    CHECK(alone.started[i] == static_cast<int>(i % buckets.size()));
  // What is written to the copies is what is applied; what is not finite is found.
  alone.started.clear();
  reduced->spoil_gradients();
  reduced->update(1);
  CHECK_FALSE(reduced->finite());
  CHECK_FALSE(reduced->first_not_finite().empty());
}

TEST_CASE("a wrong value in a layer's output or gradient is seen", "[cuda_on_host]") {
  const Graph graph = zoo();
  const auto executor = cuda::dnn::make_gpu_executor(graph, options_of("bf16"));
  executor->prepare(2, Mode::training);
  executor->initialise();
  const Batch batch = batch_of(graph, 2, 23);
  for (int id = 1; id < static_cast<int>(graph.layers().size()); ++id) {
    const Layer& layer = graph.layer(id);
    if (layer.op == Op::softmax_cross_entropy) continue;
    executor->corrupt(id, false, 7.5F);
    const Check check = checked(graph, *executor, batch, Mode::training, "bf16");
    INFO(layer.name << ": " << check.method);
    CHECK_FALSE(check.passed());
    executor->corrupt(-1, false, 0);
  }
  executor->corrupt(1, true, 100.0F);
  CHECK_FALSE(checked(graph, *executor, batch, Mode::training, "bf16").passed());
  executor->corrupt(-1, false, 0);
  CHECK(checked(graph, *executor, batch, Mode::training, "bf16").passed());
}

TEST_CASE("layer times and memory of the GPU's executor", "[cuda_on_host]") {
  const Graph graph = zoo();
  ExecutorOptions options = options_of("bf16");
  const auto executor = cuda::dnn::make_gpu_executor(graph, options);
  executor->prepare(4, Mode::training);
  executor->initialise();
  const Batch batch = batch_of(graph, 4, 24);
  executor->time_layers(true);
  CHECK_FALSE(executor->runs_ahead());
  executor->load(batch.images, batch.labels, 4, Mode::training);
  executor->forward();
  executor->backward({});
  for (const LayerTime& time : executor->layer_times()) {
    INFO(time.name);
    const bool passes_on =
        graph.layer(time.layer).op == Op::add && time.name.find("backward") != std::string::npos;
    const bool loss = graph.layer(time.layer).op == Op::softmax_cross_entropy;
    if (passes_on || loss) continue;
    CHECK(time.seconds > 0);
    CHECK_FALSE(time.implementation.empty());
  }
  const double predicted =
      predicted_gpu_memory(graph, options, 4, Mode::training).total() - gpu_workspace_bytes;
  const auto held = static_cast<double>(executor->memory_bytes());
  INFO(predicted << " predicted, held " << held);
  CHECK(std::fabs(predicted / held - 1) < 0.15);
}

TEST_CASE("examples of the GPU's workloads pass their checks", "[cuda_on_host]") {
  using Make = std::unique_ptr<Workload> (*)(const WorkContext&);
  for (const auto& [name, make] : {std::pair<const char*, Make>("conv2d", make_conv2d_cuda),
                                   {"train", make_train_cuda},
                                   {"infer", make_infer_cuda}}) {
    for (const Params& params : find_entry(name, "cuda")->examples()) {
      if (params.has("parallel") && params.text("parallel") == "data") continue;  // needs ranks
      if (params.has("model") &&                                                  // minutes here
          (params.text("model") != "topflight-cnn" || params.integer("batch") > 8))
        continue;
      WorkContext context;
      context.params = params;
      context.seed = 7;
      const std::unique_ptr<Workload> workload = make(context);
      workload->prepare();
      workload->begin_block(-1);
      for (int i = 0; i < 3; ++i) workload->run();
      workload->finish();
      const Check check = workload->verify();
      INFO(name << " " << params.text("dtype") << " " << check.method << " " << check.message);
      CHECK(check.passed());
      CHECK_FALSE(workload->results().empty());
    }
  }
}
