// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/cudnn_executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "nn/seeds.hpp"

namespace dlscale::cuda::dnn {

CudnnExecutor::CudnnExecutor(const nn::Graph& graph, const nn::ExecutorOptions& options)
    : machine_(graph, options), results_(3) {}

// Nothing may be freed while the device works with it.
CudnnExecutor::~CudnnExecutor() {
  cudaStreamSynchronize(fetches_.get());
  cudaStreamSynchronize(machine_.stream.get());
}

const Program& CudnnExecutor::current() const {
  if (current_ == nullptr)
    throw Error(ExitCode::case_failed, "no batch is loaded", "load() comes first");
  return *current_;
}
Program& CudnnExecutor::current() {
  return const_cast<Program&>(static_cast<const CudnnExecutor*>(this)->current());
}

void CudnnExecutor::initialise() {
  machine_.store.initialise();
  updates_ = 0;
  gradients_stale_ = true;
}

void CudnnExecutor::write_parameter(int parameter, std::span<const float> values) {
  machine_.store.write(parameter, values);
}

void CudnnExecutor::read_parameter(int parameter, std::span<float> values) const {
  const std::vector<float> read = machine_.store.read(parameter);
  std::copy(read.begin(), read.end(), values.begin());
}

void CudnnExecutor::read_gradient(int parameter, std::span<float> values) const {
  const std::vector<float> read = machine_.store.read_gradient(parameter);
  std::copy(read.begin(), read.end(), values.begin());
}

void CudnnExecutor::read_statistics(int layer, std::span<float> mean, std::span<float> variance) const {
  machine_.store.read_statistics(layer, mean, variance);
}

void CudnnExecutor::write_statistics(int layer, std::span<const float> mean,
                                     std::span<const float> variance) {
  machine_.store.write_statistics(layer, mean, variance);
}

std::vector<nn::Bucket>& CudnnExecutor::buckets() {
  std::vector<nn::Bucket>& mirror = machine_.store.mirror();
  if (mirror.empty()) return mirror;
  machine_.store.fetch_parameters();
  if (gradients_stale_)
    for (int b = 0; b < static_cast<int>(mirror.size()); ++b)
      machine_.store.fetch_gradients(b, machine_.stream);
  gradients_stale_ = false;
  machine_.stream.wait();
  return mirror;
}

void CudnnExecutor::refresh(Program& program) {
  if (program.version == machine_.store.version()) return;
  for (const auto& renew : program.refreshes) renew();
  program.version = machine_.store.version();
}

StepInputs CudnnExecutor::step_inputs() const {
  return {.dropout_key = dropout_key_,
          .optimizer = nn::optimizer_constants(machine_.options.optimizer, updates_ + 1, 1.0F)};
}

void CudnnExecutor::load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
                         nn::Mode mode) {
  const auto found = programs_.find({batch, mode});
  if (found == programs_.end() || !found->second)
    throw Error(ExitCode::case_failed, fmt::format("nothing is prepared for a batch of {}", batch));
  if (images.size() !=
          static_cast<std::size_t>(batch) * static_cast<std::size_t>(machine_.graph.shape(0).count()) ||
      (!labels.empty() && labels.size() != static_cast<std::size_t>(batch)))
    throw Error(ExitCode::case_failed, "a batch has the wrong size");
  current_ = found->second.get();
  refresh(*current_);
  dropout_key_ = nn::dropout_key(machine_.options, static_cast<std::uint64_t>(updates_));
  staged_update_ = updates_;
  queue_.push(machine_, *current_, images, labels, step_inputs());
}

// The optimiser's constants of another step than the one that was loaded.
void CudnnExecutor::restage() {
  if (staged_update_ == updates_) return;
  const StepInputs inputs = step_inputs();
  machine_.inputs.write(std::span<const StepInputs>(&inputs, 1), machine_.stream);
  machine_.stream.wait();
  staged_update_ = updates_;
}

void CudnnExecutor::mark(int piece) {
  if (marks_.size() <= marked_.size()) marks_.emplace_back(true);
  marks_[marked_.size()].record(machine_.stream);
  marked_.push_back(piece);
}

void CudnnExecutor::run_timed(const Stretch& stretch) {
  if (marked_.empty()) mark(-1);
  for (int i = stretch.begin; i < stretch.end; ++i) {
    const Step& step = current().steps[static_cast<std::size_t>(i)];
    step.launch();
    mark(step.piece);
  }
}

void CudnnExecutor::collect_times() {
  if (marked_.empty()) return;
  machine_.stream.wait();
  for (std::size_t i = 1; i < marked_.size(); ++i)
    if (marked_[i] >= 0)
      current().times[static_cast<std::size_t>(marked_[i])].seconds +=
          elapsed_s(marks_[i - 1], marks_[i]);
  marked_.clear();
}

void CudnnExecutor::run(const Stretch& stretch, bool backward) {
  if (!observer_ && corruption_.layer < 0) {
    if (timed_)
      run_timed(stretch);
    else
      current().launch(stretch);
    return;
  }
  nn::LayerView view;
  if (observer_) view = view_before(stretch, backward);
  current().launch(stretch);
  machine_.stream.wait();
  apply_corruption(stretch, backward);
  if (!observer_ || !computes(stretch, backward)) return;
  view_after(stretch, backward, view);
  observer_(view);
}

void CudnnExecutor::forward() {
  Program& program = current();
  const auto all = [&] {
    for (const Stretch& s : program.forward) run(s, false);
  };
  if (program.mode == nn::Mode::inference && plain())
    program.captured.run(machine_.stream, all);
  else
    all();
  collect_times();
}

const StepResults& CudnnExecutor::results() const {
  DLSCALE_CUDA(cudaMemcpyAsync(results_.data(), machine_.results.data(), sizeof(StepResults),
                               cudaMemcpyDeviceToHost, machine_.stream.get()));
  machine_.stream.wait();
  return *results_.data();
}

std::span<const float> CudnnExecutor::logits() {
  const std::vector<float> now = host_values(current().logits);
  logits_.resize(now.size());  // the place stays: a span of an earlier call holds the same
  std::copy(now.begin(), now.end(), logits_.begin());
  return logits_;
}

// In a stream of its own: the backward pass goes on meanwhile.
void CudnnExecutor::fetch_bucket(int bucket) {
  while (fetched_.size() < machine_.store.buckets().size()) fetched_.emplace_back();
  Event& event = fetched_[static_cast<std::size_t>(bucket)];
  event.record(machine_.stream);
  event.hold(fetches_);
  machine_.store.fetch_gradients(bucket, fetches_);
  event.record(fetches_);
}

void CudnnExecutor::backward(const std::function<void(int bucket)>& ready,
                             const std::function<void()>& between) {
  int complete = -1;
  reducing_ = static_cast<bool>(ready) && !on_device_;
  gradients_stale_ = !reducing_;
  for (const Stretch& s : current().backward) {
    run(s, true);
    while (ready && complete < s.bucket_ready) {
      ++complete;
      if (on_device_)
        ready(complete);
      else
        fetch_bucket(complete);
    }
    if (between) between();
  }
  for (int b = 0; reducing_ && b <= complete; ++b) {
    const Event& event = fetched_[static_cast<std::size_t>(b)];
    for (cudaError_t state = cudaErrorNotReady; state == cudaErrorNotReady;) {
      state = cudaEventQuery(event.get());
      if (state == cudaErrorNotReady)
        cudaGetLastError();  // it counts as an error there, which the next launch would find
      else
        check(state, "cudaEventQuery");
      if (between) between();
    }
    ready(b);
  }
  collect_times();
}

void CudnnExecutor::spoil_gradients() {
  if (on_device_)
    DLSCALE_CUDA(cudaMemsetAsync(machine_.store.buckets().front().gradients, 0xff, sizeof(float),
                                 machine_.stream.get()));
  else
    machine_.store.mirror().front().gradients[0] = std::nanf("");
}

void CudnnExecutor::update(float scale) {
  restage();
  if (reducing_) machine_.store.send_gradients();
  machine_.store.update(machine_.inputs.data(), scale, machine_.results.data());
  ++updates_;
  machine_.store.changed();
}

bool CudnnExecutor::runs_ahead() const {
  return plain() && machine_.options.trains;
}

void CudnnExecutor::whole_step() {
  restage();
  Program& program = current();
  program.captured.run(machine_.stream, [&] {
    for (const Stretch& s : program.forward) program.launch(s);
    for (const Stretch& s : program.backward) program.launch(s);
    machine_.store.update(machine_.inputs.data(), 1.0F, machine_.results.data());
  });
  ++updates_;
  machine_.store.changed();
  gradients_stale_ = true;
  reducing_ = false;
  const std::size_t place = next_outcome_++ % arrived_.size();
  DLSCALE_CUDA(cudaMemcpyAsync(results_.data() + 1 + place, machine_.results.data(), sizeof(StepResults),
                               cudaMemcpyDeviceToHost, machine_.stream.get()));
  arrived_[place].record(machine_.stream);
  waiting_.push_back(place);
}

nn::Executor::Outcome CudnnExecutor::take_outcome() {
  if (waiting_.empty()) throw Error(ExitCode::case_failed, "no step is under way");
  const std::size_t place = waiting_.front();
  waiting_.pop_front();
  arrived_[place].wait();
  const StepResults& r = results_.data()[1 + place];
  return {.loss = r.loss, .finite = r.broken == 0};
}

const std::vector<nn::LayerTime>& CudnnExecutor::layer_times() const {
  static const std::vector<nn::LayerTime> none;
  return current_ == nullptr ? none : current_->times;
}

void CudnnExecutor::clear_layer_times() {
  if (current_ == nullptr) return;
  for (nn::LayerTime& t : current().times) t.seconds = 0;
}

void CudnnExecutor::observe(std::function<void(const nn::LayerView&)> observer) {
  observer_ = std::move(observer);
}

void CudnnExecutor::corrupt(int layer, bool backward, float value) {
  corruption_ = {layer, backward, value};
}

std::unique_ptr<GpuExecutor> make_gpu_executor(const nn::Graph& graph,
                                               const nn::ExecutorOptions& options) {
  return std::make_unique<CudnnExecutor>(graph, options);
}

}  // namespace dlscale::cuda::dnn
