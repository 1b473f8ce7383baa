// SPDX-License-Identifier: BSD-3-Clause
/// Master weights, gradients and optimiser state on the device, in contiguous buckets. Weights lie as
/// the kernels read them: filters × kh × kw × channels, dense layers O × (H × W × C).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/memory.hpp"
#include "cuda/nn/kernels.hpp"
#include "nn/executor.hpp"

namespace dlscale::cuda::dnn {

class ParameterStore {
 public:
  ParameterStore(const nn::Graph& graph, const nn::ExecutorOptions& options, const Stream& stream);

  float* values(int parameter) const { return values_.data() + place(parameter).offset; }
  /// In the type of the activations: the master itself or its copy.
  const void* working(int parameter) const;
  /// nullptr for frozen parameters and executors that don't train.
  float* gradients(int parameter) const;
  float* running_mean(int layer) const { return statistics_.data() + norms_[at(layer)]; }
  float* running_variance(int layer) const;

  // These wait for the stream. Canonical.
  void write(int parameter, std::span<const float> canonical);
  std::vector<float> read(int parameter) const { return read(parameter, values_); }
  std::vector<float> read_gradient(int parameter) const;
  void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const;
  void write_statistics(int layer, std::span<const float> mean, std::span<const float> variance);
  void initialise();

  /// One optimiser step over all buckets; asynchronous. The step's constants are in `inputs`.
  void update(const StepInputs* inputs, float scale, StepResults* results) const;

  const std::vector<nn::Bucket>& buckets() const { return buckets_; }  ///< pointers on the device
  /// Copies on the host, made at the first call.
  std::vector<nn::Bucket>& mirror();
  /// Asynchronous copies between the two.
  void fetch_gradients(int bucket, const Stream& stream);
  void fetch_parameters();
  void send_gradients();

  /// Rises whenever values change: what is computed from them is renewed by it.
  std::uint64_t version() const { return version_; }
  void changed() { ++version_; }
  std::int64_t memory_bytes() const;  ///< on the device

 private:
  struct Place {
    std::size_t offset = 0, count = 0;  ///< in values; count padded
  };
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  const Place& place(int parameter) const { return places_[at(parameter)]; }
  bool trained(int parameter) const;
  std::vector<float> read(int parameter, const DeviceBuffer<float>& from) const;
  std::vector<nn::Bucket> buckets_over(float* parameters, float* gradients) const;

  const nn::Graph& graph_;
  nn::ExecutorOptions options_;
  const Stream& stream_;
  std::vector<Place> places_;
  std::vector<std::vector<int>> cut_;
  std::size_t trained_count_ = 0;   ///< values in buckets; frozen ones follow
  std::vector<std::size_t> norms_;  ///< [layer] offset of its statistics: mean, then variance
  DeviceBuffer<float> values_, gradients_, first_, second_, statistics_;
  DeviceBuffer<std::uint16_t> copies_;  ///< of all values as bf16
  std::vector<nn::Bucket> buckets_, mirror_;
  PinnedBuffer<float> host_parameters_, host_gradients_;
  std::uint64_t version_ = 1;
};

}  // namespace dlscale::cuda::dnn
