// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "nn/trainer.hpp"
#include "workloads/train/data_parallel_mpi.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {
namespace {

double process_cpu_s() {
  timespec cpu{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) != 0) return std::nan("");
  return static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec);
}

// The one that is nearer to failing, or has failed more; the first of equals.
const Check& worse(const Check& a, const Check& b) {
  return b.ratio() > a.ratio() ? b : a;
}

int participants_of(const WorkContext& context) {
  return context.participants == nullptr ? 1 : std::max(1, context.participants->size());
}

class TrainCpu final : public Workload {
 public:
  explicit TrainCpu(const WorkContext& context)
      : context_(context),
        whole_(train_is_parallel(context.params)),
        communicates_(train_communicates(context.params)),
        params_(train_of_one_rank(context.params, participants_of(context))),
        graph_(network_graph(params_, params_.number("dropout"))) {}

  void prepare() override {
    if (!whole_) return prepare_alone();
    if (context_.participants == nullptr)
      throw Error(ExitCode::case_failed, "parallel = data needs the ranks that take part");
    together(*context_.participants, [&] { prepare_alone(); });
    if (!communicates_) return;
    parallel_.emplace(context_, graph_, *executor_);
    parallel_->join();
    trainer_->reduce_with(&parallel_->reducer());
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

  void before_sample() override {
    sample_begin_ns_ = 0;
    if (communicates_) parallel_->before_sample(trainer_->steps());
  }

  void run() override {
    if (sample_begin_ns_ == 0) sample_begin_ns_ = now_ns();
    if (!whole_) return step();
    if (!communicates_) return step_apart();
    try {
      step();
    } catch (const nn::TrainingFailed& failure) {
      throw FailedTogether(ExitCode::case_failed, failure.what());
    }
  }

  void end_block(std::int32_t block) override {
    const double train_s = seconds_since(begin_ns_), stall_s = loader_->take_stall_s();
    tell_failure();
    if (!params_.boolean("whole_epochs") || block < 0) return;
    const std::int64_t begin = now_ns();
    nn::Evaluation test;
    const auto evaluate = [&] { test = trainer_->evaluate(*test_loader_); };
    if (whole_)
      together(*context_.participants, evaluate);
    else
      evaluate();
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

  void take_buckets(std::span<double> seconds) override {
    if (communicates_) parallel_->bucket_times(sample_begin_ns_, seconds);
  }

  Check verify() override {
    if (!communicates_) {
      const Check target = check_target();
      return target.passed() ? check_one_step() : target;
    }
    const Check equal = parallel_->check_replicas(trainer_->steps());
    Check layers;
    together(*context_.participants, [&] { layers = check_one_step(); });
    const Check sums = parallel_->check_reduction(parallel_->reducer()), target = check_target();
    method_ += "; replicas and reduced gradients bit for bit; " + sums.method;
    return worse(worse(worse(layers, sums), equal), target);
  }

  std::string results() const override {
    nlohmann::json facts = nlohmann::json::parse(executor_->facts());
    facts["data"] = dataset_ ? dataset_->name : "random";
    facts["synthetic"] = !dataset_ || dataset_->synthetic;
    if (dataset_) facts["data_origin"] = dataset_->origin;
    facts["parameters"] = graph_.trainable_count();
    facts["executor_bytes"] = executor_->memory_bytes();
    facts["load_time_s"] = load_time_s_;
    facts["last_loss"] = trainer_->last_loss();
    facts["steps"] = trainer_->steps();
    facts["checked"] = method_;
    facts["batch"] = params_.integer("batch");
    if (parallel_) facts["parallel"] = nlohmann::json::parse(parallel_->facts());
    return facts.dump();
  }

 private:
  void prepare_alone() {
    const TrainData data = train_data(params_);
    dataset_ = open_train_data(data, graph_.classes(), context_.seed, context_.threads);
    loader_ = make_loader(false, data);
    if (params_.boolean("whole_epochs")) test_loader_ = make_loader(true, data);
    const std::int64_t begin = now_ns();
    nn::ExecutorOptions options = train_options(params_, context_.threads, context_.seed);
    if (whole_) options.replica = static_cast<std::uint64_t>(context_.participants->rank());
    executor_ = nn::make_cpu_executor(graph_, options);
    trainer_.emplace(graph_, *executor_, *loader_, network_batch(params_));
    if (test_loader_) trainer_->prepare_evaluation(*test_loader_, train_test_batch(params_));
    if (!communicates_) executor_->initialise();  // else by DataParallel::join()
    load_time_s_ = seconds_since(begin);
    executor_->time_layers(params_.boolean("layers"));
    trainer_->start_epoch(0);
  }

  std::unique_ptr<nn::Loader> make_loader(bool test, const TrainData& data) const {
    nn::LoaderOptions options = train_loader_options(params_, graph_.shape(0), context_.seed, test);
    if (whole_ && !test) {
      options.shard = context_.participants->rank();
      options.shards = context_.participants->size();
    }
    if (dataset_) return nn::make_loader(dataset_, test, options);
    return nn::make_random_loader(test ? data.test_images : data.train_images, graph_.classes(),
                                  options);
  }

  void step() {
    if (trainer_->step()) return;
    trainer_->start_epoch(++restarts_);
    trainer_->step();
  }

  // Without communication one rank's training may fail by itself, while no other waits for it here: it
  // makes no more steps, and all learn of it where they meet.
  void step_apart() {
    if (failure_) return;
    try {
      step();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  void tell_failure() {
    if (!whole_ || communicates_) return;
    together(*context_.participants, [&] {
      if (failure_) std::rethrow_exception(failure_);
    });
  }

  Check check_target() const {
    const double target = params_.number("target_accuracy");
    Check check{.error = 0, .tolerance = 0, .method = "", .message = {}};
    if (!(target > 0) || accuracy_ >= target) return check;
    return {.error = target - accuracy_,
            .tolerance = 0,
            .method = fmt::format("test accuracy of at least {}", target),
            .message = sentence(
                fmt::format("the test accuracy {} is below target_accuracy = {}", accuracy_, target),
                fmt::format("after {} epoch{}", epochs_, epochs_ == 1 ? "" : "s"),
                "train longer (blocks, time_budget), correct lr, or lower the target")};
  }

  Check check_one_step() {
    trainer_->start_epoch(0);
    const nn::BatchView view = loader_->next();
    executor_->load(view.images, view.labels, view.count, nn::Mode::training);
    const Check check = check_layers(graph_, *executor_, view.count, nn::Mode::training, view.labels,
                                     params_, context_.seed);
    method_ = check.method;
    return check;
  }

  WorkContext context_;
  bool whole_, communicates_;  ///< one network on all ranks; its gradients are reduced
  Params params_;              ///< with this rank's batch
  nn::Graph graph_;
  std::shared_ptr<const nn::Dataset> dataset_;
  std::unique_ptr<nn::Loader> loader_, test_loader_;
  std::unique_ptr<nn::Executor> executor_;
  std::optional<DataParallel> parallel_;
  std::optional<nn::Trainer> trainer_;
  std::exception_ptr failure_;  ///< of a step of this rank alone
  std::vector<double> epoch_;
  std::int64_t begin_ns_ = 0, restarts_ = 0, epochs_ = 0, sample_begin_ns_ = 0;
  double cpu_begin_s_ = 0, accuracy_ = std::nan(""), load_time_s_ = 0;
  std::string method_;
};

}  // namespace

Entry train_cpu_entry() {
  Entry entry;
  entry.name = "train";
  entry.variant = "cpu";
  entry.description =
      "training steps of a whole network, on every rank by itself or on all together, through oneDNN";
  entry.rate = RateKind::images;
  entry.keys = train_keys();
  entry.parts = {nn::step_part_names.begin(), nn::step_part_names.end()};
  entry.epochs = train_epochs();
  entry.examples = train_examples;
  entry.validate = train_validate;
  entry.distributed = train_is_parallel;
  entry.single = train_is_parallel;  // what happens in a step is seen step by step
  entry.unsuited = train_unsuited;
  entry.buckets = train_buckets;
  entry.unavailable = [](const Params& params) {
    const std::string problem = network_unavailable(params);
    return problem.empty() ? overlap_unavailable(params) : problem;
  };
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
