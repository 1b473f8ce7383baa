// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/onednn_executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nn/seeds.hpp"

namespace dlscale::nn::onednn {

OnednnExecutor::OnednnExecutor(const Graph& graph, const ExecutorOptions& options)
    : graph_(graph), options_(options), store_(graph_, options_) {
  const std::string problem = precision_problem(options.precision);
  if (!problem.empty())
    throw Error(ExitCode::case_failed, "bf16 can't be used", problem, "use dtype = f32");
}

const Program& OnednnExecutor::current() const {
  if (current_ == nullptr)
    throw Error(ExitCode::case_failed, "no batch is loaded", "load() comes first");
  return *current_;
}

Program& OnednnExecutor::current() {
  return const_cast<Program&>(static_cast<const OnednnExecutor*>(this)->current());
}

void OnednnExecutor::prepare(int batch, Mode mode) {
  if (mode == Mode::training && !options_.trains)
    throw Error(ExitCode::case_failed, "an executor without gradients can't train");
  std::unique_ptr<Program>& program = programs_[{batch, mode}];
  if (program) return;
  set_threads(options_.threads);  // the library divides the work when a primitive is made
  program = build_program(graph_, options_, store_, batch, mode, options_.fold);
  if (!store_.placed()) store_.place();
  find_ready_buckets(*program);
  rebind();
}

// One arena and one scratch for all programs: only one of them is in use at a time.
void OnednnExecutor::rebind() {
  std::size_t arena = 1, scratch = 1;
  for (const auto& [key, program] : programs_) {
    if (!program) continue;
    arena = std::max(arena, program->arena_bytes);
    scratch = std::max(scratch, program->scratch_bytes);
  }
  if (arena_.size() < arena) arena_ = Buffer<std::byte>(), arena_ = Buffer<std::byte>(arena);
  if (scratch_.size() < scratch) scratch_ = Buffer<std::byte>(), scratch_ = Buffer<std::byte>(scratch);
  for (const auto& [key, program] : programs_)
    if (program) program->bind(arena_.data(), scratch_.data(), store_);
  current_ = nullptr;
}

// A bucket is complete after the group of its first layer: members are in reverse order of use.
void OnednnExecutor::find_ready_buckets(Program& program) const {
  auto& store = const_cast<ParameterStore&>(store_);
  for (int b = 0; b < static_cast<int>(store.buckets().size()); ++b) {
    const int parameter = store.buckets()[static_cast<std::size_t>(b)].members.back();
    const int layer = graph_.parameters()[static_cast<std::size_t>(parameter)].layer;
    for (Stretch& s : program.backward)
      if (program.groups[static_cast<std::size_t>(s.group)].head == layer)
        s.bucket_ready = std::max(s.bucket_ready, b);
  }
}

std::int64_t OnednnExecutor::memory_bytes() const {
  std::int64_t bytes =
      store_.memory_bytes() + static_cast<std::int64_t>(arena_.size() + scratch_.size());
  for (const auto& [key, program] : programs_)
    if (program) bytes += static_cast<std::int64_t>(program->owned_bytes);
  return bytes;
}

std::string OnednnExecutor::facts() const {
  nlohmann::json facts{{"library", library_facts()}, {"library_threads", options_.threads}};
  nlohmann::json kernels = nlohmann::json::object();
  for (const auto& [key, program] : programs_) {
    if (!program || program->mode != (options_.trains ? Mode::training : Mode::inference)) continue;
    for (const LayerTime& t : program->times)
      if (t.flops > 0) kernels[t.name] = t.implementation;
    break;
  }
  facts["kernels"] = kernels;
  return facts.dump();
}

void OnednnExecutor::initialise() {
  if (!store_.placed()) store_.place();
  store_.initialise();
  training_steps_ = 0;
}

void OnednnExecutor::write_parameter(int parameter, std::span<const float> values) {
  store_.write(parameter, values);
}

void OnednnExecutor::read_parameter(int parameter, std::span<float> values) const {
  store_.read(parameter, values);
}

void OnednnExecutor::read_gradient(int parameter, std::span<float> values) const {
  store_.read_gradient(parameter, values);
}

void OnednnExecutor::read_statistics(int layer, std::span<float> mean, std::span<float> variance) const {
  auto& store = const_cast<ParameterStore&>(store_);
  std::copy(store.mean(layer).begin(), store.mean(layer).end(), mean.begin());
  std::copy(store.variance(layer).begin(), store.variance(layer).end(), variance.begin());
}

void OnednnExecutor::write_statistics(int layer, std::span<const float> mean,
                                      std::span<const float> variance) {
  std::copy(mean.begin(), mean.end(), store_.mean(layer).begin());
  std::copy(variance.begin(), variance.end(), store_.variance(layer).begin());
  store_.changed();
}

std::vector<Bucket>& OnednnExecutor::buckets() {
  return store_.buckets();
}

void OnednnExecutor::refresh(Program& program) {
  if (program.version == store_.version()) return;
  for (const auto& renew : program.refreshes) renew();
  program.version = store_.version();
}

void OnednnExecutor::load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
                          Mode mode) {
  set_threads(options_.threads);
  const auto found = programs_.find({batch, mode});
  if (found == programs_.end() || !found->second)
    throw Error(ExitCode::case_failed, fmt::format("nothing is prepared for a batch of {}", batch));
  if (images.size() !=
          static_cast<std::size_t>(batch) * static_cast<std::size_t>(graph_.shape(0).count()) ||
      (!labels.empty() && labels.size() != static_cast<std::size_t>(batch)))
    throw Error(ExitCode::case_failed, "a batch has the wrong size");
  current_ = found->second.get();
  // The library's memory objects know no const; inputs are only read.
  current_->slots[static_cast<std::size_t>(current_->input)].memory.set_data_handle(
      const_cast<float*>(images.data()));
  current_->state = {
      .labels = labels, .dropout_key = dropout_key(options_, training_steps_), .loss = 0, .correct = 0};
  call("renewing copies of the weights", [&] { refresh(*current_); });
}

void OnednnExecutor::run(const Stretch& stretch, bool backward) {
  Program& program = current();
  if (!observer_ && corruption_.layer < 0) return program.run(stretch, timed_);
  LayerView view;
  if (observer_) view = view_before(stretch, backward);
  program.run(stretch, timed_);
  stream().wait();
  apply_corruption(stretch, backward);
  if (!observer_ || !computes(stretch, backward)) return;
  if (!backward && program.mode == Mode::training) keep_for_backward(stretch);
  view_after(stretch, backward, view);
  observer_(view);
}

void OnednnExecutor::forward() {
  set_threads(options_.threads);
  call("the forward pass", [&] {
    kept_.clear();
    for (const Stretch& s : current().forward) run(s, false);
    stream().wait();
  });
}

double OnednnExecutor::loss() const {
  return current().state.loss;
}

std::int64_t OnednnExecutor::correct() const {
  return current().state.correct;
}

std::span<const float> OnednnExecutor::logits() {
  return span_of<const float>(&current(), current().logits);
}

void OnednnExecutor::backward(const std::function<void(int bucket)>& ready,
                              const std::function<void()>& between) {
  set_threads(options_.threads);
  int told = -1;
  call("the backward pass", [&] {
    for (const Stretch& s : current().backward) {
      run(s, true);
      if (ready && told < s.bucket_ready) {
        stream().wait();
        while (told < s.bucket_ready) ready(++told);
      }
      if (between) between();
    }
    stream().wait();
  });
}

void OnednnExecutor::update(float scale) {
  set_threads(options_.threads);
  store_.update(scale);
  ++training_steps_;
  call("renewing copies of the weights", [&] { refresh(current()); });
}

const std::vector<LayerTime>& OnednnExecutor::layer_times() const {
  static const std::vector<LayerTime> none;
  return current_ == nullptr ? none : current_->times;
}

void OnednnExecutor::clear_layer_times() {
  if (current_ == nullptr) return;
  for (LayerTime& t : current().times) t.seconds = 0;
}

void OnednnExecutor::observe(std::function<void(const LayerView&)> observer) {
  observer_ = std::move(observer);
  kept_.clear();
}

void OnednnExecutor::corrupt(int layer, bool backward, float value) {
  corruption_ = {layer, backward, value};
}

}  // namespace dlscale::nn::onednn

namespace dlscale::nn {

std::unique_ptr<Executor> make_cpu_executor(const Graph& graph, const ExecutorOptions& options) {
  return std::make_unique<onednn::OnednnExecutor>(graph, options);
}

}  // namespace dlscale::nn
