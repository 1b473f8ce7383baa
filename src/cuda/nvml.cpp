// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nvml.hpp"

#include <dlfcn.h>

#include <limits>

#include "cuda/current_device.hpp"

namespace dlscale::cuda {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The stable part of NVML's binary interface.
using Device = void*;
using Init = int (*)();
using ByPci = int (*)(const char*, Device*);
using Energy = int (*)(Device, unsigned long long*);  // mJ
using Clock = int (*)(Device, unsigned, unsigned*);   // MHz
using Temperature = int (*)(Device, unsigned, unsigned*);
using Reasons = int (*)(Device, unsigned long long*);
using ErrorText = const char* (*)(int);
constexpr int ok = 0;
constexpr unsigned clock_sm = 1, temperature_gpu = 0;
// nvmlClocksEventReasonGpuIdle and …ApplicationsClocksSetting are no throttling.
constexpr unsigned long long harmless = 0x1 | 0x2;

class Nvml {
 public:
  Nvml() {
    handle_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
      const char* text = dlerror();
      why_ = text != nullptr ? text : "libnvidia-ml.so.1 can't be loaded";
      return;
    }
    const auto init = symbol<Init>("nvmlInit_v2");
    const auto by_pci = symbol<ByPci>("nvmlDeviceGetHandleByPciBusId_v2");
    if (init == nullptr || by_pci == nullptr) {
      why_ = "libnvidia-ml.so.1 lacks nvmlInit_v2 or nvmlDeviceGetHandleByPciBusId_v2";
      return;
    }
    if (!call(init(), "nvmlInit_v2")) return;
    int device = 0;
    DLSCALE_CUDA(cudaGetDevice(&device));
    char pci[32] = {};
    DLSCALE_CUDA(cudaDeviceGetPCIBusId(pci, static_cast<int>(sizeof pci), device));
    if (!call(by_pci(pci, &device_), "nvmlDeviceGetHandleByPciBusId_v2")) device_ = nullptr;
    energy_ = symbol<Energy>("nvmlDeviceGetTotalEnergyConsumption");
    clock_ = symbol<Clock>("nvmlDeviceGetClockInfo");
    temperature_ = symbol<Temperature>("nvmlDeviceGetTemperature");
    reasons_ = symbol<Reasons>("nvmlDeviceGetCurrentClocksEventReasons");  // its older name:
    if (reasons_ == nullptr) reasons_ = symbol<Reasons>("nvmlDeviceGetCurrentClocksThrottleReasons");
  }

  GpuSensors read() const {
    GpuSensors s{nan, nan, nan, nan};
    if (device_ == nullptr) return s;
    unsigned long long wide = 0;
    unsigned narrow = 0;
    if (energy_ != nullptr && energy_(device_, &wide) == ok)
      s.energy_j = 1e-3 * static_cast<double>(wide);
    if (clock_ != nullptr && clock_(device_, clock_sm, &narrow) == ok) s.clock_hz = 1e6 * narrow;
    if (temperature_ != nullptr && temperature_(device_, temperature_gpu, &narrow) == ok)
      s.temperature_c = narrow;
    if (reasons_ != nullptr && reasons_(device_, &wide) == ok)
      s.throttle_bits = static_cast<double>(wide & ~harmless);
    return s;
  }
  const std::string& why() const { return why_; }

 private:
  template <class F>
  F symbol(const char* name) const {
    return reinterpret_cast<F>(dlsym(handle_, name));
  }
  bool call(int code, const char* name) {
    if (code == ok) return true;
    const auto text = symbol<ErrorText>("nvmlErrorString");
    why_ = std::string(name) + ": " + (text != nullptr ? text(code) : std::to_string(code));
    return false;
  }

  void* handle_ = nullptr;  // kept loaded
  Device device_ = nullptr;
  Energy energy_ = nullptr;
  Clock clock_ = nullptr;
  Temperature temperature_ = nullptr;
  Reasons reasons_ = nullptr;
  std::string why_;
};

const Nvml& nvml() {
  static const Nvml once;
  return once;
}

}  // namespace

GpuSensors sensors() {
  return nvml().read();
}
const std::string& sensors_missing() {
  return nvml().why();
}

}  // namespace dlscale::cuda
