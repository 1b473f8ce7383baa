// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <time.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "nn/trainer.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {
namespace {

double process_cpu_s() {
  timespec cpu{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) != 0) return std::nan("");
  return static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec);
}

class TrainCpu final : public Workload {
 public:
  explicit TrainCpu(const WorkContext& context)
      : params_(context.params),
        seed_(context.seed),
        threads_(context.threads),
        batch_(network_batch(params_)),
        graph_(network_graph(params_, params_.number("dropout"))) {}

  void prepare() override {
    const TrainData data = train_data(params_);
    dataset_ = open_train_data(data, graph_.classes(), seed_, threads_);
    loader_ = make_loader(false, data);
    if (params_.boolean("whole_epochs")) test_loader_ = make_loader(true, data);
    const std::int64_t begin = now_ns();
    executor_ = nn::make_cpu_executor(graph_, train_options(params_, threads_, seed_));
    trainer_.emplace(graph_, *executor_, *loader_, batch_);
    executor_->initialise();
    load_time_s_ = seconds_since(begin);
    executor_->time_layers(params_.boolean("layers"));
    trainer_->start_epoch(0);
  }

  // Epochs count from the same first weights; what warmed up before does not.
  void begin_block(std::int32_t block) override {
    if (!params_.boolean("whole_epochs")) return;
    if (block == 0) executor_->initialise();
    epoch_ = {};
    cpu_begin_s_ = process_cpu_s();
    loader_->take_stall_s();
    begin_ns_ = now_ns();
    trainer_->start_epoch(std::max(block, 0));
  }

  void run() override {
    if (trainer_->step()) return;
    trainer_->start_epoch(++restarts_);
    trainer_->step();
  }

  void end_block(std::int32_t block) override {
    if (!params_.boolean("whole_epochs") || block < 0) return;
    const double train_s = seconds_since(begin_ns_), stall_s = loader_->take_stall_s();
    const std::int64_t begin = now_ns();
    const nn::Evaluation test = trainer_->evaluate(*test_loader_, train_test_batch(params_));
    accuracy_ = test.accuracy;
    epochs_ = block + 1;
    epoch_ = {train_s,
              seconds_since(begin),
              process_cpu_s() - cpu_begin_s_,
              stall_s,
              static_cast<double>(trainer_->epoch_images()),
              trainer_->epoch_loss(),
              test.loss,
              test.accuracy};
  }

  void take_parts(std::span<double> seconds) override { trainer_->take_parts(seconds); }
  void take_layers(std::span<double> seconds) override { take_layer_times(*executor_, seconds); }
  void take_epoch(std::span<double> values) override {
    std::copy_n(epoch_.begin(), std::min(epoch_.size(), values.size()), values.begin());
  }

  Check verify() override {
    const double target = params_.number("target_accuracy");
    if (target > 0 && !(accuracy_ >= target))
      return {.error = target - accuracy_,
              .tolerance = 0,
              .method = fmt::format("test accuracy of at least {}", target),
              .message = sentence(
                  fmt::format("the test accuracy {} is below target_accuracy = {}", accuracy_, target),
                  fmt::format("after {} epoch{}", epochs_, epochs_ == 1 ? "" : "s"),
                  "train longer (blocks, time_budget), correct lr, or lower the target")};
    trainer_->start_epoch(0);
    const nn::BatchView view = loader_->next();
    executor_->load(view.images, view.labels, view.count, nn::Mode::training);
    const Check check =
        check_layers(graph_, *executor_, view.count, nn::Mode::training, view.labels, params_, seed_);
    method_ = check.method;
    return check;
  }

  std::string results() const override {
    nlohmann::json facts = nlohmann::json::parse(executor_->facts());
    const TrainData data = train_data(params_);
    facts["data"] = dataset_ ? dataset_->name : "random";
    facts["synthetic"] = !dataset_ || dataset_->synthetic;
    if (dataset_) facts["data_origin"] = dataset_->origin;
    facts["parameters"] = graph_.trainable_count();
    facts["executor_bytes"] = executor_->memory_bytes();
    facts["load_time_s"] = load_time_s_;
    facts["last_loss"] = trainer_->last_loss();
    facts["steps"] = trainer_->steps();
    facts["checked"] = method_;
    return facts.dump();
  }

 private:
  std::unique_ptr<nn::Loader> make_loader(bool test, const TrainData& data) const {
    const nn::LoaderOptions options = train_loader_options(params_, graph_.shape(0), seed_, test);
    if (dataset_) return nn::make_loader(dataset_, test, options);
    return nn::make_random_loader(test ? data.test_images : data.train_images, graph_.classes(),
                                  options);
  }

  Params params_;
  std::uint64_t seed_;
  int threads_, batch_;
  nn::Graph graph_;
  std::shared_ptr<const nn::Dataset> dataset_;
  std::unique_ptr<nn::Loader> loader_, test_loader_;
  std::unique_ptr<nn::Executor> executor_;
  std::optional<nn::Trainer> trainer_;
  std::vector<double> epoch_;
  std::int64_t begin_ns_ = 0, restarts_ = 0, epochs_ = 0;
  double cpu_begin_s_ = 0, accuracy_ = std::nan(""), load_time_s_ = 0;
  std::string method_;
};

}  // namespace

Entry train_cpu_entry() {
  Entry entry;
  entry.name = "train";
  entry.variant = "cpu";
  entry.description = "training steps of a whole network on every rank by itself, through oneDNN";
  entry.rate = RateKind::images;
  entry.keys = train_keys();
  entry.parts = {nn::step_part_names.begin(), nn::step_part_names.end()};
  entry.epochs = train_epochs();
  entry.examples = train_examples;
  entry.validate = train_validate;
  entry.unavailable = network_unavailable;
  entry.cost = train_cost;
  entry.roofs = network_roofs;
  entry.layers = train_layers;
  entry.block_samples = train_block_samples;
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<TrainCpu>(context);
  };
  return entry;
}

}  // namespace dlscale
