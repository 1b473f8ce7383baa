// SPDX-License-Identifier: BSD-3-Clause
// Entry of the GPU module: which devices can be used here, or why none.
#include <cuda_runtime_api.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using nlohmann::json;

class CudaFailure {
 public:
  CudaFailure(cudaError_t code, const char* call)
      : text_(std::string(call) + ": " + cudaGetErrorString(code)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void check(cudaError_t code, const char* call) {
  if (code != cudaSuccess) throw CudaFailure(code, call);
}

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
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  json list = json::array();
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    char pci[32] = {};
    check(cudaDeviceGetPCIBusId(pci, static_cast<int>(sizeof pci), i), "cudaDeviceGetPCIBusId");
    list.push_back({{"name", properties.name},
                    {"uuid", uuid_text(properties.uuid)},
                    {"pci", pci},
                    {"memory_bytes", static_cast<std::int64_t>(properties.totalGlobalMem)}});
  }
  return list;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int dlscale_cuda_probe(char* out, int size) {
  json facts;
  try {
    facts["devices"] = devices();
  } catch (const CudaFailure& failure) {
    facts = json{{"error", failure.text()}};
  }
  const std::string text = facts.dump();
  if (static_cast<int>(text.size()) + 1 > size) return static_cast<int>(text.size()) + 1;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return 0;
}
