// SPDX-License-Identifier: BSD-3-Clause
/// What train and infer on a GPU have in common: pure, in the program.
#pragma once

#include "workloads/network_case.hpp"

namespace dlscale {

/// `keys` of the CPU with what is different on a GPU.
std::vector<Key> gpu_network_keys(std::vector<Key> keys);
/// Memory bandwidth, and in f32 the multiply-add peak: tensor cores have no workload as their roof.
std::vector<Roof> gpu_network_roofs(const Params& params);
/// Tensor cores cut the sum's last bit off instead of rounding it, and cuDNN leaves the gradients of a
/// convolution's weights in the type of its inputs.
NetworkDevice gpu_network_device(const Params& params);

}  // namespace dlscale
