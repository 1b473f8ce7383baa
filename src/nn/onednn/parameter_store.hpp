// SPDX-License-Identifier: BSD-3-Clause
/// Master weights, gradients and optimiser state in contiguous buckets, in the layouts that the library
/// computes in: no reordering in a step, and an all-reduce works on them in place.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/buffer.hpp"
#include "nn/executor.hpp"
#include "nn/onednn/primitives.hpp"

namespace dlscale::nn::onednn {

class ParameterStore {
 public:
  ParameterStore(const Graph& graph, const ExecutorOptions& options);

  /// Asks for a master layout (f32) before place(); the first to ask gets it.
  void claim(int parameter, const Desc& layout);
  /// Lays out and allocates everything; zero. Once.
  void place();
  bool placed() const { return placed_; }

  const Desc& layout(int parameter) const { return places_[at(parameter)].layout; }
  float* values(int parameter) { return values_.data() + places_[at(parameter)].offset; }
  /// nullptr for frozen parameters and executors that don't train.
  float* gradients(int parameter);
  /// Running statistics of a batch norm layer.
  std::span<float> mean(int layer);
  std::span<float> variance(int layer);

  void write(int parameter, std::span<const float> canonical);
  void read(int parameter, std::span<float> canonical) const;
  void read_gradient(int parameter, std::span<float> canonical) const;
  void initialise();
  /// One optimiser step over all buckets.
  void update(float scale);
  /// Whether all values were finite after the last update.
  bool finite() const { return finite_; }

  std::vector<Bucket>& buckets() { return buckets_; }
  /// Rises whenever values change: copies in other layouts are renewed by it.
  std::uint64_t version() const { return version_; }
  void changed() { ++version_; }
  std::int64_t memory_bytes() const;
  const Desc& canonical(int parameter) const { return canonical_[at(parameter)]; }

 private:
  struct Place {
    Desc layout;
    std::size_t offset = 0, count = 0;  ///< in values; count with the layout's padding
    bool claimed = false;
  };
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  void fill_buckets(std::vector<std::vector<int>> cut);
  bool trained(int parameter) const;
  Memory master(int parameter, const float* base) const;

  const Graph& graph_;
  ExecutorOptions options_;
  bool placed_ = false, finite_ = true;
  std::uint64_t version_ = 1;
  std::int64_t steps_ = 0;
  std::vector<Desc> canonical_;
  std::vector<Place> places_;
  std::vector<Bucket> buckets_;
  std::size_t trained_count_ = 0;  ///< values in buckets; frozen ones follow
  Buffer<float> values_, gradients_, first_, second_;
  std::vector<std::vector<float>> means_, variances_;  ///< [layer]
};

}  // namespace dlscale::nn::onednn
