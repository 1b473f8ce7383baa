// SPDX-License-Identifier: BSD-3-Clause
// Entries of the GPU module: which build it is, which devices can be used here or why none, and its
// workloads.
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "cuda/current_device.hpp"
#include "cuda/factories.hpp"
#include "cuda/nvml.hpp"
#include "device/gpu_module.hpp"
#include "workloads/gpu_workload.hpp"

#define DLSCALE_EXPORT extern "C" __attribute__((visibility("default")))

namespace dlscale::cuda {
namespace {

using nlohmann::json;

// "GPU-xxxxxxxx-xxxx-…", as nvidia-smi prints it.
std::string uuid_text(const cudaUUID_t& uuid) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

json devices() {
  int count = 0;
  DLSCALE_CUDA(cudaGetDeviceCount(&count));
  json list = json::array();
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    DLSCALE_CUDA(cudaGetDeviceProperties(&properties, i));
    char pci[32] = {};
    DLSCALE_CUDA(cudaDeviceGetPCIBusId(pci, static_cast<int>(sizeof pci), i));
    list.push_back({{"name", properties.name},
                    {"uuid", uuid_text(properties.uuid)},
                    {"pci", pci},
                    {"memory_bytes", static_cast<std::int64_t>(properties.totalGlobalMem)},
                    {"capability", 10 * properties.major + properties.minor}});
  }
  return list;
}

// Words of the last failure, kept for the caller.
const char* keep(std::string text) {
  static std::string kept;
  kept = std::move(text);
  return kept.c_str();
}

}  // namespace
}  // namespace dlscale::cuda

DLSCALE_EXPORT const char* dlscale_cuda_build() {
  return DLSCALE_MODULE_ID;
}

DLSCALE_EXPORT int dlscale_cuda_probe(char* out, int size) {
  nlohmann::json facts;
  const std::string problem = dlscale::failure_of([&] { facts["devices"] = dlscale::cuda::devices(); });
  if (!problem.empty()) facts = nlohmann::json{{"error", problem}};
  const std::string text = facts.dump();
  if (static_cast<int>(text.size()) + 1 > size) return static_cast<int>(text.size()) + 1;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return 0;
}

DLSCALE_EXPORT const char* dlscale_cuda_select(int device) {
  const std::string problem = dlscale::failure_of([&] { dlscale::cuda::select_device(device); });
  return problem.empty() ? nullptr : dlscale::cuda::keep(problem);
}

DLSCALE_EXPORT void dlscale_cuda_sensors(dlscale::GpuSensors* sensors) {
  *sensors = dlscale::cuda::sensors();
}

DLSCALE_EXPORT dlscale::Workload* dlscale_cuda_make(const char* name,
                                                    const dlscale::WorkContext& context) {
  for (const dlscale::cuda::Factory& factory : dlscale::cuda::factories())
    if (std::strcmp(factory.name, name) == 0) return factory.make(context).release();
  return nullptr;
}
