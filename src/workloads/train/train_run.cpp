// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/train/train_run.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"

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

}  // namespace

TrainRun::TrainRun(const WorkContext& context, MakeExecutor make, const NetworkDevice& device,
                   MakeReducer reducer)
    : context_(context),
      make_(std::move(make)),
      make_reducer_(std::move(reducer)),
      device_(device),
      whole_(train_is_parallel(context.params)),
      communicates_(train_communicates(context.params)),
      params_(train_of_one_rank(context.params, participants_of(context))),
      graph_(network_graph(params_, params_.number("dropout"))),
      accuracy_(std::nan("")) {}

void TrainRun::prepare() {
  if (!whole_) return prepare_alone();
  if (context_.participants == nullptr)
    throw Error(ExitCode::case_failed, "parallel = data needs the ranks that take part");
  together(*context_.participants, [&] { prepare_alone(); });
  if (!communicates_) return;
  parallel_.emplace(context_, graph_, *executor_);
  parallel_->join(make_reducer_);
  trainer_->reduce_with(&parallel_->reducer());
}

// Epochs count from the same first weights; what warmed up before does not.
void TrainRun::begin_block(std::int32_t block) {
  if (!params_.boolean("whole_epochs")) return;
  if (block == 0) executor_->initialise();
  epoch_ = {};
  cpu_begin_s_ = process_cpu_s();
  loader_->take_stall_s();
  begin_ns_ = now_ns();
  trainer_->start_epoch(std::max(block, 0));
}

void TrainRun::before_sample() {
  sample_begin_ns_ = 0;
  if (communicates_) parallel_->before_sample(trainer_->steps());
}

void TrainRun::run() {
  if (sample_begin_ns_ == 0) sample_begin_ns_ = now_ns();
  if (!whole_) return step();
  if (!communicates_) return apart([&] { step(); });
  try {
    step();
  } catch (const nn::TrainingFailed& failure) {
    throw FailedTogether(ExitCode::case_failed, failure.what());
  }
}

// What a device has not finished yet belongs to the sample.
void TrainRun::finish() {
  if (whole_ && !communicates_) return apart([&] { trainer_->settle(); });
  trainer_->settle();
}

void TrainRun::end_block(std::int32_t block) {
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

void TrainRun::take_epoch(std::span<double> values) {
  std::copy_n(epoch_.begin(), std::min(epoch_.size(), values.size()), values.begin());
}

void TrainRun::take_buckets(std::span<double> seconds) {
  if (communicates_) parallel_->bucket_times(sample_begin_ns_, seconds);
}

Check TrainRun::verify() {
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

std::string TrainRun::results() const {
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

void TrainRun::prepare_alone() {
  const TrainData data = train_data(params_);
  dataset_ = open_train_data(data, graph_.classes(), context_.seed, context_.threads);
  loader_ = make_loader(false, data);
  if (params_.boolean("whole_epochs")) test_loader_ = make_loader(true, data);
  const std::int64_t begin = now_ns();
  nn::ExecutorOptions options = train_options(params_, context_.threads, context_.seed);
  if (whole_) options.replica = static_cast<std::uint64_t>(context_.participants->rank());
  executor_ = make_(graph_, options);
  trainer_.emplace(graph_, *executor_, *loader_, network_batch(params_));
  if (test_loader_) trainer_->prepare_evaluation(*test_loader_, train_test_batch(params_));
  if (!communicates_) executor_->initialise();  // else by DataParallel::join()
  load_time_s_ = seconds_since(begin);
  executor_->time_layers(params_.boolean("layers"));
  trainer_->start_epoch(0);
}

std::unique_ptr<nn::Loader> TrainRun::make_loader(bool test, const TrainData& data) const {
  nn::LoaderOptions options = train_loader_options(params_, graph_.shape(0), context_.seed, test);
  if (whole_ && !test) {
    options.shard = context_.participants->rank();
    options.shards = context_.participants->size();
  }
  if (dataset_) return nn::make_loader(dataset_, test, options);
  return nn::make_random_loader(test ? data.test_images : data.train_images, graph_.classes(), options);
}

void TrainRun::step() {
  if (trainer_->step()) return;
  trainer_->start_epoch(++restarts_);
  trainer_->step();
}

// Without communication one rank's training may fail by itself, while no other waits for it here: it
// makes no more steps, and all learn of it where they meet.
void TrainRun::apart(const std::function<void()>& action) {
  if (failure_) return;
  try {
    action();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void TrainRun::tell_failure() {
  if (!whole_ || communicates_) return;
  together(*context_.participants, [&] {
    if (failure_) std::rethrow_exception(failure_);
  });
}

Check TrainRun::check_target() const {
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

Check TrainRun::check_one_step() {
  trainer_->start_epoch(0);
  const nn::BatchView view = loader_->next();
  executor_->load(view.images, view.labels, view.count, nn::Mode::training);
  const Check check = check_layers(graph_, *executor_, view.count, nn::Mode::training, view.labels,
                                   params_, context_.seed, device_);
  method_ = check.method;
  return check;
}

}  // namespace dlscale
