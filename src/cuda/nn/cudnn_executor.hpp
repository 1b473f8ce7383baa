// SPDX-License-Identifier: BSD-3-Clause
/// The GPU executor: convolutions by cuDNN, dense layers by cuBLASLt, the rest by kernels of our own.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "cuda/nn/gpu_executor.hpp"
#include "cuda/nn/input_queue.hpp"
#include "cuda/nn/program.hpp"

namespace dlscale::cuda::dnn {

class CudnnExecutor final : public GpuExecutor {
 public:
  CudnnExecutor(const nn::Graph& graph, const nn::ExecutorOptions& options);
  ~CudnnExecutor() override;

  void prepare(int batch, nn::Mode mode) override;
  std::int64_t memory_bytes() const override;
  std::string facts() const override;
  void initialise() override;
  void write_parameter(int parameter, std::span<const float> values) override;
  void read_parameter(int parameter, std::span<float> values) const override;
  void read_gradient(int parameter, std::span<float> values) const override;
  void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const override;
  void write_statistics(int layer, std::span<const float> mean,
                        std::span<const float> variance) override;
  std::vector<nn::Bucket>& buckets() override;
  void load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
            nn::Mode mode) override;
  void forward() override;
  double loss() const override { return results().loss; }
  std::int64_t correct() const override { return results().correct; }
  std::span<const float> logits() override;
  void backward(const std::function<void(int bucket)>& ready,
                const std::function<void()>& between = {}) override;
  void update(float scale) override;
  bool finite() const override { return results().broken == 0; }
  void spoil_gradients() override;
  bool runs_ahead() const override;
  void whole_step() override;
  Outcome take_outcome() override;
  void wait() override { machine_.stream.wait(); }
  void time_layers(bool on) override { timed_ = on; }
  const std::vector<nn::LayerTime>& layer_times() const override;
  void clear_layer_times() override;
  void observe(std::function<void(const nn::LayerView&)> observer) override;
  void corrupt(int layer, bool backward, float value) override;
  std::string first_not_finite() const override;

  const Stream& stream() const override { return machine_.stream; }
  const std::vector<nn::Bucket>& device_buckets() override { return machine_.store.buckets(); }
  void reduce_on_device(bool yes) override { on_device_ = yes; }
  void gradients_changed() override { gradients_stale_ = true; }

 private:
  struct Corruption {
    int layer = -1;
    bool backward = false;
    float value = 0;
  };
  const Program& current() const;
  Program& current();
  StepInputs step_inputs() const;
  const StepResults& results() const;
  void run(const Stretch& stretch, bool backward);
  void run_timed(const Stretch& stretch);
  void mark(int piece);
  void collect_times();
  bool plain() const { return !observer_ && corruption_.layer < 0 && !timed_; }
  void refresh(Program& program);
  void restage();
  void fetch_bucket(int bucket);

  // Preparing (prepare.cpp, with prepare(), memory_bytes() and facts()).
  void place();
  void find_ready_buckets(Program& program) const;

  // Checks (views.cpp).
  bool computes(const Stretch& stretch, bool backward) const;
  std::vector<float> host_values(const Tensor& tensor) const;  ///< canonical
  std::vector<float> channel_values(const float* values, std::int64_t channels) const;
  std::vector<float> mask_of(const nn::Layer& layer, int id) const;
  nn::LayerView view_before(const Stretch& stretch, bool backward) const;
  void view_after(const Stretch& stretch, bool backward, nn::LayerView& view) const;
  void apply_corruption(const Stretch& stretch, bool backward);

  mutable Machine machine_;
  InputQueue queue_;
  std::map<std::pair<int, nn::Mode>, std::unique_ptr<Program>> programs_;
  Program* current_ = nullptr;
  std::uint64_t dropout_key_ = 0;  ///< of the loaded batch
  std::int64_t updates_ = 0, staged_update_ = 0;
  bool timed_ = false, on_device_ = false, reducing_ = false;
  bool gradients_stale_ = false;  ///< buckets()' copies of them
  std::vector<float> logits_;
  PinnedBuffer<StepResults> results_;  ///< [0]: of the loaded step; then outcomes
  std::array<Event, 2> arrived_;       ///< [place of an outcome]
  std::deque<std::size_t> waiting_;    ///< places of outcomes, the oldest first
  std::size_t next_outcome_ = 0;
  Stream fetches_;              ///< gradients on their way to the host
  std::vector<Event> fetched_;  ///< [bucket]
  std::vector<Event> marks_;    ///< made once, taken in order while layers are timed
  std::vector<int> marked_;     ///< piece that ended at each mark of this pass
  std::function<void(const nn::LayerView&)> observer_;
  Corruption corruption_;
};

}  // namespace dlscale::cuda::dnn
