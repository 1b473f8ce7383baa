// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/network_gpu.hpp"

namespace dlscale {

std::vector<Key> gpu_network_keys(std::vector<Key> keys) {
  for (Key& key : keys) {
    if (key.name == "dtype")
      key.help =
          "of activations and weights; f32 without TF32; bf16 keeps master weights, biases of dense "
          "layers, optimiser state, statistics and the loss in f32";
    if (key.name == "algorithm")
      key.help =
          "of convolutions; auto and direct = the fastest of cuDNN's that is deterministic, without "
          "Winograd's; winograd = Winograd's wherever cuDNN has it";
  }
  return keys;
}

std::vector<Roof> gpu_network_roofs(const Params& params) {
  if (params.text("dtype") == "f32") return network_roofs(params);
  return {Roof{"triad", {}}};
}

NetworkDevice gpu_network_device(const Params& params) {
  if (params.text("dtype") != "bf16") return {.library = "cuDNN"};
  return {.library = "cuDNN", .u_acc = 0x1p-23, .u_conv_gradient = 0x1p-8};
}

}  // namespace dlscale
