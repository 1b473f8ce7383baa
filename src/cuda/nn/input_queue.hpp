// SPDX-License-Identifier: BSD-3-Clause
/// Batches on their way to the device: two places in page-locked memory and two on the device, so that
/// the copy of one batch runs behind the computation of the other.
#pragma once

#include <array>
#include <span>

#include "cuda/nn/program.hpp"

namespace dlscale::cuda::dnn {

class InputQueue {
 public:
  /// Room for batches of so many images; what is under way is waited for.
  void reserve(std::size_t values, std::size_t labels);
  /// The images and labels become the program's; what it computed before has been launched. Returns when
  /// both spans have been read.
  void push(Machine& machine, const Program& program, std::span<const float> images,
            std::span<const std::int32_t> labels, const StepInputs& inputs);
  std::int64_t memory_bytes() const;  ///< on the device

 private:
  struct Place {
    PinnedBuffer<float> host_images;
    PinnedBuffer<std::int32_t> host_labels;
    DeviceBuffer<float> images;
    DeviceBuffer<std::int32_t> labels;
    Event copied, used;
  };
  std::array<Place, 2> places_;
  std::size_t next_ = 0, values_ = 0, labels_ = 0;
  Stream copies_;
};

}  // namespace dlscale::cuda::dnn
