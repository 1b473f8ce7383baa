// SPDX-License-Identifier: BSD-3-Clause
/// The executor on a GPU, as those see it who move its gradients.
#pragma once

#include <memory>

#include "cuda/stream.hpp"
#include "nn/executor.hpp"

namespace dlscale::cuda::dnn {

/// buckets() of it are copies in page-locked host memory: asking for them brings them up to date.
/// What is written to their gradients between a bucket's `ready` and update() is what update() applies;
/// what is written to their parameters stays on the host.
class GpuExecutor : public nn::Executor {
 public:
  /// Everything is computed in this stream, in order.
  virtual const Stream& stream() const = 0;

  /// Pointers on the device.
  virtual const std::vector<nn::Bucket>& device_buckets() = 0;

  /// Who sums gradients. `false` (at first): on the host; backward() calls `ready(bucket)` when the
  /// gradients have arrived in buckets(). `true`: on the device; `ready(bucket)` is called when the
  /// kernels that complete the bucket are in stream(), so an event recorded there is behind them, and
  /// what changes gradients must be waited for in stream() before update().
  virtual void reduce_on_device(bool yes) = 0;
  /// Gradients on the device were changed from outside: the copies on the host are stale.
  virtual void gradients_changed() = 0;
};

/// On the selected device. Throws Error(case_failed) with cuDNN's words.
std::unique_ptr<GpuExecutor> make_gpu_executor(const nn::Graph& graph,
                                               const nn::ExecutorOptions& options);

}  // namespace dlscale::cuda::dnn
