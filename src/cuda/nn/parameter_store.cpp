// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/parameter_store.hpp"

#include <algorithm>

#include "nn/channels_last.hpp"
#include "nn/seeds.hpp"

namespace dlscale::cuda::dnn {
namespace {

// Every parameter begins on 64 bytes, in bf16 on 32: aligned for every vector load.
constexpr std::size_t granule = 16;

std::size_t rounded(std::size_t count) {
  return (count + granule - 1) / granule * granule;
}

DeviceBuffer<float> zeroed(std::size_t count, const Stream& stream) {
  DeviceBuffer<float> buffer(count);
  buffer.set_bytes(0, stream);
  return buffer;
}

}  // namespace

ParameterStore::ParameterStore(const nn::Graph& graph, const nn::ExecutorOptions& options,
                               const Stream& stream)
    : graph_(graph),
      options_(options),
      stream_(stream),
      places_(graph.parameters().size()),
      norms_(graph.layers().size(), 0) {
  if (options_.trains) cut_ = nn::cut_buckets(graph_, options_);
  std::size_t offset = 0;
  const auto lay = [&](int p) {
    places_[at(p)] = {offset, rounded(static_cast<std::size_t>(graph_.parameters()[at(p)].count()))};
    offset += places_[at(p)].count;
  };
  for (const std::vector<int>& members : cut_)
    for (const int p : members) lay(p);
  trained_count_ = offset;
  for (int p = 0; p < static_cast<int>(places_.size()); ++p)
    if (!trained(p)) lay(p);
  values_ = zeroed(offset, stream_);
  if (options_.precision == nn::Precision::bf16) {
    copies_ = DeviceBuffer<std::uint16_t>(offset);
    copies_.set_bytes(0, stream_);
  }
  if (options_.trains) {
    gradients_ = zeroed(trained_count_, stream_);
    if (nn::state_values(options_.optimizer) > 0) first_ = zeroed(trained_count_, stream_);
    if (nn::state_values(options_.optimizer) > 1) second_ = zeroed(trained_count_, stream_);
  }
  std::size_t statistics = 0;
  for (std::size_t id = 0; id < graph_.layers().size(); ++id) {
    if (graph_.layers()[id].op != nn::Op::batch_norm) continue;
    norms_[id] = statistics;
    statistics += 2 * rounded(static_cast<std::size_t>(graph_.layers()[id].out.channels));
  }
  statistics_ = zeroed(statistics, stream_);
  stream_.wait();
  buckets_ = buckets_over(values_.data(), gradients_.data());
}

bool ParameterStore::trained(int parameter) const {
  return options_.trains && graph_.parameters()[at(parameter)].trainable;
}

std::vector<nn::Bucket> ParameterStore::buckets_over(float* parameters, float* gradients) const {
  std::vector<nn::Bucket> buckets;
  for (const std::vector<int>& members : cut_) {
    const std::size_t offset = place(members.front()).offset;
    nn::Bucket bucket{.count = 0,
                      .parameters = parameters + offset,
                      .gradients = gradients + offset,
                      .members = members,
                      .counts = {}};
    for (const int p : members) {
      bucket.counts.push_back(static_cast<std::int64_t>(place(p).count));
      bucket.count += bucket.counts.back();
    }
    buckets.push_back(std::move(bucket));
  }
  return buckets;
}

const void* ParameterStore::working(int parameter) const {
  if (options_.precision == nn::Precision::f32) return values(parameter);
  return copies_.data() + place(parameter).offset;
}

float* ParameterStore::gradients(int parameter) const {
  return trained(parameter) ? gradients_.data() + place(parameter).offset : nullptr;
}

float* ParameterStore::running_variance(int layer) const {
  return running_mean(layer) + rounded(static_cast<std::size_t>(graph_.layer(layer).out.channels));
}

void ParameterStore::write(int parameter, std::span<const float> canonical) {
  const nn::Parameter& p = graph_.parameters()[at(parameter)];
  std::vector<float> own(canonical.size());
  nn::to_channels_last(canonical, nn::parameter_block(graph_, p), std::span(own));
  DLSCALE_CUDA(cudaMemcpyAsync(values(parameter), own.data(), own.size() * sizeof(float),
                               cudaMemcpyHostToDevice, stream_.get()));
  if (copies_.size() > 0)
    convert(Type::f32, values(parameter), Type::bf16, copies_.data() + place(parameter).offset,
            own.size(), stream_);
  stream_.wait();
  changed();
}

std::vector<float> ParameterStore::read(int parameter, const DeviceBuffer<float>& from) const {
  const nn::Parameter& p = graph_.parameters()[at(parameter)];
  std::vector<float> own(static_cast<std::size_t>(p.count())), canonical(own.size());
  DLSCALE_CUDA(cudaMemcpyAsync(own.data(), from.data() + place(parameter).offset,
                               own.size() * sizeof(float), cudaMemcpyDeviceToHost, stream_.get()));
  stream_.wait();
  nn::from_channels_last(std::span<const float>(own), nn::parameter_block(graph_, p),
                         std::span(canonical));
  return canonical;
}

std::vector<float> ParameterStore::read_gradient(int parameter) const {
  if (!trained(parameter))
    throw Error(ExitCode::case_failed, graph_.parameters()[at(parameter)].name + " has no gradient",
                "it is not trained");
  return read(parameter, gradients_);
}

void ParameterStore::read_statistics(int layer, std::span<float> mean, std::span<float> variance) const {
  DLSCALE_CUDA(cudaMemcpyAsync(mean.data(), running_mean(layer), mean.size_bytes(),
                               cudaMemcpyDeviceToHost, stream_.get()));
  DLSCALE_CUDA(cudaMemcpyAsync(variance.data(), running_variance(layer), variance.size_bytes(),
                               cudaMemcpyDeviceToHost, stream_.get()));
  stream_.wait();
}

void ParameterStore::write_statistics(int layer, std::span<const float> mean,
                                      std::span<const float> variance) {
  DLSCALE_CUDA(cudaMemcpyAsync(running_mean(layer), mean.data(), mean.size_bytes(),
                               cudaMemcpyHostToDevice, stream_.get()));
  DLSCALE_CUDA(cudaMemcpyAsync(running_variance(layer), variance.data(), variance.size_bytes(),
                               cudaMemcpyHostToDevice, stream_.get()));
  stream_.wait();
  changed();
}

void ParameterStore::initialise() {
  for (std::size_t i = 0; i < places_.size(); ++i)
    write(static_cast<int>(i), nn::initial_values(graph_, i, options_.seed));
  for (std::size_t id = 0; id < graph_.layers().size(); ++id) {
    if (graph_.layers()[id].op != nn::Op::batch_norm) continue;
    const auto channels = static_cast<std::size_t>(graph_.layers()[id].out.channels);
    write_statistics(static_cast<int>(id), std::vector<float>(channels, 0.0F),
                     std::vector<float>(channels, 1.0F));
  }
  for (DeviceBuffer<float>* state : {&gradients_, &first_, &second_})
    if (state->size() > 0) state->set_bytes(0, stream_);
  stream_.wait();
}

void ParameterStore::update(const StepInputs* inputs, float scale, StepResults* results) const {
  void* copies = copies_.size() > 0 ? copies_.data() : nullptr;
  if (options_.optimizer.kind == nn::OptimizerKind::adam)
    adam_update(inputs, scale, trained_count_, values_.data(), gradients_.data(), first_.data(),
                second_.data(), copies, results, stream_);
  else
    sgd_update(inputs, scale, trained_count_, values_.data(), gradients_.data(),
               first_.size() > 0 ? first_.data() : nullptr, copies, results, stream_);
}

std::vector<nn::Bucket>& ParameterStore::mirror() {
  if (mirror_.empty() && !cut_.empty()) {
    host_parameters_ = PinnedBuffer<float>(trained_count_);
    host_gradients_ = PinnedBuffer<float>(trained_count_);
    mirror_ = buckets_over(host_parameters_.data(), host_gradients_.data());
  }
  return mirror_;
}

void ParameterStore::fetch_gradients(int bucket, const Stream& stream) {
  const nn::Bucket &to = mirror().at(at(bucket)), &from = buckets_.at(at(bucket));
  DLSCALE_CUDA(cudaMemcpyAsync(to.gradients, from.gradients,
                               static_cast<std::size_t>(from.count) * sizeof(float),
                               cudaMemcpyDeviceToHost, stream.get()));
}

void ParameterStore::fetch_parameters() {
  mirror();
  DLSCALE_CUDA(cudaMemcpyAsync(host_parameters_.data(), values_.data(), trained_count_ * sizeof(float),
                               cudaMemcpyDeviceToHost, stream_.get()));
}

void ParameterStore::send_gradients() {
  mirror();
  DLSCALE_CUDA(cudaMemcpyAsync(gradients_.data(), host_gradients_.data(), trained_count_ * sizeof(float),
                               cudaMemcpyHostToDevice, stream_.get()));
}

std::int64_t ParameterStore::memory_bytes() const {
  return static_cast<std::int64_t>(values_.bytes() + gradients_.bytes() + first_.bytes() +
                                   second_.bytes() + statistics_.bytes() + copies_.bytes());
}

}  // namespace dlscale::cuda::dnn
