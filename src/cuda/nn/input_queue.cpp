// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/input_queue.hpp"

#include <algorithm>

namespace dlscale::cuda::dnn {

void InputQueue::reserve(std::size_t values, std::size_t labels) {
  if (values <= values_ && labels <= labels_) return;
  values_ = std::max(values, values_);
  labels_ = std::max(labels, labels_);
  for (Place& place : places_) {
    place.copied.wait();
    place.used.wait();
    place.host_images = PinnedBuffer<float>(values_);
    place.host_labels = PinnedBuffer<std::int32_t>(labels_);
    place.images = {};  // before the larger one is asked for
    place.images = DeviceBuffer<float>(values_);
    place.labels = DeviceBuffer<std::int32_t>(labels_);
  }
}

void InputQueue::push(Machine& machine, const Program& program, std::span<const float> images,
                      std::span<const std::int32_t> labels, const StepInputs& inputs) {
  Place& place = places_[next_++ % places_.size()];
  place.copied.wait();  // the batch before the last has left the host
  std::copy(images.begin(), images.end(), place.host_images.data());
  std::copy(labels.begin(), labels.end(), place.host_labels.data());
  place.used.hold(copies_);  // and its copy on the device has been read
  place.images.write(std::span<const float>(place.host_images.data(), images.size()), copies_);
  if (!labels.empty())
    place.labels.write(std::span<const std::int32_t>(place.host_labels.data(), labels.size()), copies_);
  place.copied.record(copies_);
  place.copied.hold(machine.stream);
  begin_step(place.images.data(), labels.empty() ? nullptr : place.labels.data(), machine.type,
             program.at(program.input), machine.labels.data(), program.input.dims, inputs,
             machine.inputs.data(), machine.results.data(), machine.stream);
  place.used.record(machine.stream);
}

std::int64_t InputQueue::memory_bytes() const {
  std::size_t bytes = 0;
  for (const Place& place : places_) bytes += place.images.bytes() + place.labels.bytes();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dlscale::cuda::dnn
