// SPDX-License-Identifier: BSD-3-Clause
#include "nn/onednn/parameter_store.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>

#include "base/error.hpp"
#include "nn/seeds.hpp"

namespace dlscale::nn::onednn {
namespace {

// Every parameter begins on a cache line, so that vector loops never cross from one into the next.
constexpr std::size_t granule = 16;

std::size_t rounded(std::size_t count) {
  return (count + granule - 1) / granule * granule;
}

Dims dims_in_library(const Graph& graph, const Parameter& parameter) {
  const Layer& layer = graph.layer(parameter.layer);
  Dims dims(parameter.dims.begin(), parameter.dims.end());
  if (parameter.kind != ParameterKind::weight) return dims;
  if (layer.op == Op::conv && layer.groups > 1) {
    dims.front() /= layer.groups;
    dims.insert(dims.begin(), layer.groups);
  }
  // A dense layer reads maps as they are: O × C × H × W is O × I channel-major.
  if (layer.op == Op::dense && (layer.in.height > 1 || layer.in.width > 1))
    dims = {dims.front(), layer.in.channels, layer.in.height, layer.in.width};
  return dims;
}

}  // namespace

ParameterStore::ParameterStore(const Graph& graph, const ExecutorOptions& options)
    : graph_(graph), options_(options) {
  for (const Parameter& p : graph.parameters()) {
    canonical_.push_back(plain(dims_in_library(graph, p), Type::f32));
    places_.push_back({.layout = canonical_.back()});
  }
  means_.resize(graph.layers().size());
  variances_.resize(graph.layers().size());
  for (std::size_t id = 0; id < graph.layers().size(); ++id)
    if (graph.layers()[id].op == Op::batch_norm) {
      means_[id].assign(static_cast<std::size_t>(graph.layers()[id].out.channels), 0.0F);
      variances_[id].assign(means_[id].size(), 1.0F);
    }
}

bool ParameterStore::trained(int parameter) const {
  return options_.trains && graph_.parameters()[at(parameter)].trainable;
}

void ParameterStore::claim(int parameter, const Desc& layout) {
  Place& place = places_[at(parameter)];
  if (placed_ || place.claimed) return;
  place.layout = layout;
  place.claimed = true;
}

void ParameterStore::place() {
  std::vector<std::vector<int>> cut;
  if (options_.trains) cut = cut_buckets(graph_, options_);
  std::size_t offset = 0;
  const auto lay = [&](int p) {
    Place& place = places_[at(p)];
    place.offset = offset;
    place.count = rounded((bytes_of(place.layout) + sizeof(float) - 1) / sizeof(float));
    offset += place.count;
  };
  for (const std::vector<int>& members : cut)
    for (const int p : members) lay(p);
  trained_count_ = offset;
  for (int p = 0; p < static_cast<int>(places_.size()); ++p)
    if (!trained(p)) lay(p);
  const auto zeroed = [](std::size_t count) {
    Buffer<float> buffer(count);
    std::fill(buffer.span().begin(), buffer.span().end(), 0.0F);
    return buffer;
  };
  values_ = zeroed(offset);
  if (options_.trains) {
    gradients_ = zeroed(trained_count_);
    if (state_values(options_.optimizer) > 0) first_ = zeroed(trained_count_);
    if (state_values(options_.optimizer) > 1) second_ = zeroed(trained_count_);
  }
  placed_ = true;
  fill_buckets(std::move(cut));
}

void ParameterStore::fill_buckets(std::vector<std::vector<int>> cut) {
  for (std::vector<int>& members : cut) {
    const std::size_t offset = places_[at(members.front())].offset;
    Bucket bucket{.count = 0,
                  .parameters = values_.data() + offset,
                  .gradients = gradients_.data() + offset,
                  .members = std::move(members),
                  .counts = {}};
    for (const int p : bucket.members) {
      bucket.counts.push_back(static_cast<std::int64_t>(places_[at(p)].count));
      bucket.count += bucket.counts.back();
    }
    buckets_.push_back(std::move(bucket));
  }
}

float* ParameterStore::gradients(int parameter) {
  return trained(parameter) ? gradients_.data() + places_[at(parameter)].offset : nullptr;
}

std::span<float> ParameterStore::mean(int layer) {
  return means_[at(layer)];
}

std::span<float> ParameterStore::variance(int layer) {
  return variances_[at(layer)];
}

Memory ParameterStore::master(int parameter, const float* base) const {
  // The library's memory objects know no const.
  return {layout(parameter), engine(), const_cast<float*>(base) + places_[at(parameter)].offset};
}

void ParameterStore::write(int parameter, std::span<const float> canonical) {
  copy(Memory(canonical_[at(parameter)], engine(), const_cast<float*>(canonical.data())),
       master(parameter, values_.data()));
  changed();
}

void ParameterStore::read(int parameter, std::span<float> canonical) const {
  copy(master(parameter, values_.data()), Memory(canonical_[at(parameter)], engine(), canonical.data()));
}

void ParameterStore::read_gradient(int parameter, std::span<float> canonical) const {
  if (!trained(parameter))
    throw Error(ExitCode::case_failed,
                fmt::format("{} has no gradient", graph_.parameters()[at(parameter)].name),
                "it is not trained");
  copy(master(parameter, gradients_.data()),
       Memory(canonical_[at(parameter)], engine(), canonical.data()));
}

void ParameterStore::initialise() {
  for (std::size_t i = 0; i < places_.size(); ++i)
    write(static_cast<int>(i), initial_values(graph_, i, options_.seed));
  for (auto& mean : means_) std::fill(mean.begin(), mean.end(), 0.0F);
  for (auto& variance : variances_) std::fill(variance.begin(), variance.end(), 1.0F);
  for (Buffer<float>* state : {&gradients_, &first_, &second_})
    std::fill(state->span().begin(), state->span().end(), 0.0F);
  steps_ = 0;
}

void ParameterStore::update(float scale) {
  ++steps_;
  bool finite = true;
  const std::size_t parts = static_cast<std::size_t>(options_.threads);
  const std::size_t each = rounded((trained_count_ + parts - 1) / parts);
  const auto cut = [&](Buffer<float>& buffer, std::size_t begin, std::size_t count) {
    return buffer.size() == 0 ? std::span<float>() : buffer.span().subspan(begin, count);
  };
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts)) reduction(&& : finite)
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = std::min(part * each, trained_count_);
    const std::size_t count = std::min(each, trained_count_ - begin);
    finite = optimizer_step(options_.optimizer, steps_, scale, cut(values_, begin, count),
                            cut(gradients_, begin, count), cut(first_, begin, count),
                            cut(second_, begin, count)) &&
             finite;
  }
  finite_ = finite;
  changed();
}

std::int64_t ParameterStore::memory_bytes() const {
  std::size_t values = values_.size() + gradients_.size() + first_.size() + second_.size();
  for (const auto& mean : means_) values += 2 * mean.size();
  return static_cast<std::int64_t>(values * sizeof(float));
}

}  // namespace dlscale::nn::onednn
