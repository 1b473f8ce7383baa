// SPDX-License-Identifier: BSD-3-Clause
/// Runs a graph on a device: what the trainer and the workloads know of oneDNN or cuDNN.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/graph.hpp"
#include "nn/optimizer.hpp"

namespace dlscale::nn {

enum class Precision { f32, bf16 };  ///< bf16: activations and weights; master weights stay f32
enum class Mode { training, inference };

struct ExecutorOptions {
  Precision precision = Precision::f32;
  int threads = 1;
  std::uint64_t seed = 0;          ///< initial weights and dropout
  std::uint64_t replica = 0;       ///< each of a network's replicas drops other values
  std::string algorithm = "auto";  ///< of convolutions: auto | direct | winograd
  bool trains = true;              ///< false: no gradients, no state
  bool fold = true;                ///< inference: batch norms into the convolutions before them
  OptimizerOptions optimizer;
  std::int64_t bucket_bytes = 25 << 20;  ///< of gradients that are reduced together
  std::int64_t first_bucket_bytes = 1 << 20;
};

/// A contiguous stretch of parameters, their gradients likewise, in the executor's own layout (padding
/// is zero): what an all-reduce works on in place. Bucket 0 is complete first in the backward pass.
struct Bucket {
  std::int64_t count = 0;  ///< values, padding included; a multiple of 16
  float* parameters = nullptr;
  float* gradients = nullptr;
  std::vector<int> members;          ///< indices into Graph::parameters()
  std::vector<std::int64_t> counts;  ///< values of each member, which follow one another
};

/// Parameters of every bucket, last layer first, cut by their sizes in Graph (rounded up to cache
/// lines): the same for every library, processor and rank. A parameter larger than a bucket has one of
/// its own.
std::vector<std::vector<int>> cut_buckets(const Graph& graph, const ExecutorOptions& options);
/// Bytes of each by the same sizes; a library's padding comes on top.
std::vector<double> bucket_sizes(const Graph& graph, const ExecutorOptions& options);

/// Time of one timed piece of a step; names are fixed per program.
struct LayerTime {
  std::string name;  ///< "conv1 forward", "conv1 backward data", "conv1 backward weights", "bn1 forward"
  int layer = -1;
  double flops = 0;            ///< of the whole batch
  double bytes = 0;            ///< operands once
  std::string implementation;  ///< the library's own words: "jit:avx512_core"
  double seconds = 0;          ///< since clear_layer_times()
};

/// What the check of a step sees of one layer, as float32 in canonical layout (batch × C × H × W).
/// Empty where the layer has none or the pass has not come there yet.
struct LayerView {
  int layer = -1;
  /// Graph layers computed in one go, first to last, where an executor fuses them (convolution, batch
  /// norm or dense, then ReLU): inputs and parameters are the first's, outputs the last's. Empty: one.
  std::vector<int> fused;
  bool backward = false;
  std::vector<std::vector<float>> inputs;
  std::vector<float> output;
  std::vector<float> output_gradient;
  std::vector<std::vector<float>> input_gradients;
  /// In the layer's order; with a folded batch norm the effective weights and offsets.
  std::vector<std::vector<float>> parameters, parameter_gradients;
  std::vector<float> mean, variance;  ///< batch norm: of this batch; running ones in inference
  std::vector<float> mask;            ///< dropout: 0 or 1/(1 − rate)
  /// Convolutions: whether Winograd's algorithm computed the output or the input's gradient, and whether
  /// it computed the weights' gradient.
  bool winograd = false, winograd_weights = false;
};

/// All functions throw Error(case_failed) with the library's own words. Not thread-safe. The thread that
/// made it must use it.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Makes everything for this batch and mode; other shapes stay prepared. Programs share parameters,
  /// whose layouts the first one decides: the training program comes first.
  virtual void prepare(int batch, Mode mode) = 0;

  /// Bytes held: parameters, gradients, state, activations, scratch.
  virtual std::int64_t memory_bytes() const = 0;
  /// Facts for the record, as a JSON object's text: library, version, implementations chosen.
  virtual std::string facts() const = 0;

  // Parameters in canonical layout (Graph::parameters()), running statistics per batch norm layer.
  virtual void initialise() = 0;  ///< seeded, PyTorch's defaults; clears state and statistics
  virtual void write_parameter(int parameter, std::span<const float> values) = 0;
  virtual void read_parameter(int parameter, std::span<float> values) const = 0;
  virtual void read_gradient(int parameter, std::span<float> values) const = 0;
  virtual void read_statistics(int layer, std::span<float> mean, std::span<float> variance) const = 0;
  virtual void write_statistics(int layer, std::span<const float> mean,
                                std::span<const float> variance) = 0;
  virtual std::vector<Bucket>& buckets() = 0;

  // One step. `images`: float32, batch × C × H × W; both spans must stay valid until the next load().
  // Loads for a program prepared before with this batch and mode.
  virtual void load(std::span<const float> images, std::span<const std::int32_t> labels, int batch,
                    Mode mode) = 0;
  virtual void forward() = 0;
  virtual double loss() const = 0;              ///< mean over the batch; NaN without labels
  virtual std::int64_t correct() const = 0;     ///< images whose largest logit is their label's
  virtual std::span<const float> logits() = 0;  ///< batch × classes
  /// Calls `ready(bucket)` as soon as a bucket's gradients are complete, in order 0, 1, …, and `between`
  /// after every layer. Either may be empty.
  virtual void backward(const std::function<void(int bucket)>& ready,
                        const std::function<void()>& between = {}) = 0;
  /// Applies the gradients × scale to all parameters. Counts steps by itself.
  virtual void update(float scale) = 0;
  /// Whether all parameters were finite after the last update. The loss alone does not tell: max(0, NaN)
  /// may be 0.
  virtual bool finite() const = 0;

  /// Makes the gradients of bucket 0 NaN, so that their sum is: called in its `ready`.
  virtual void spoil_gradients() { buckets().front().gradients[0] = std::nanf(""); }

  // Steps without a look in between, where an executor has a device that can work while the host goes
  // on.
  struct Outcome {
    double loss = 0;
    bool finite = true;  ///< as finite()
  };
  /// Whether whole_step() can be used now: nothing is observed, timed by layers or corrupted.
  virtual bool runs_ahead() const { return false; }
  /// forward(), backward({}) and update(1) of the loaded batch; may return before they are done. At most
  /// two outcomes may be waited for.
  virtual void whole_step() {}
  /// Of the oldest step that was not asked about; waits for it.
  virtual Outcome take_outcome() { return {}; }
  /// Until the device has done what was asked for.
  virtual void wait() {}

  /// Timed pieces of the loaded program (none before the first load()); `on` costs one clock reading per
  /// primitive and one per layer.
  virtual void time_layers(bool on) = 0;
  virtual const std::vector<LayerTime>& layer_times() const = 0;
  virtual void clear_layer_times() = 0;

  /// Called after every layer of forward() and backward(), for checks; slow. Empty function = off.
  virtual void observe(std::function<void(const LayerView&)> observer) = 0;

  /// For tests: after the named layer's pass, one element of its output (forward) or of its first
  /// parameter gradient (backward) is overwritten by `value`.
  virtual void corrupt(int layer, bool backward, float value) = 0;

  /// First tensor that holds NaN or infinity, by name ("conv2.weight", "gradient of conv2.weight",
  /// "output of bn1"); empty when none.
  virtual std::string first_not_finite() const = 0;
};

/// "" when this processor can run it, else why not.
std::string precision_problem(Precision precision);

std::unique_ptr<Executor> make_cpu_executor(const Graph& graph, const ExecutorOptions& options);

/// Bytes a CPU executor will hold for one program. Programs share parameters, arena and scratch.
struct MemoryEstimate {
  double parameters = 0;  ///< with gradients and optimiser state
  double copies = 0;      ///< of weights in other layouts and types, of this program alone
  double arena = 0, scratch = 0;
  double total() const { return parameters + copies + arena + scratch; }
};
/// The plan's prediction; pure but for what the library says of Winograd's algorithm on this processor.
MemoryEstimate predicted_memory(const Graph& graph, const ExecutorOptions& options, int batch,
                                Mode mode);

}  // namespace dlscale::nn
