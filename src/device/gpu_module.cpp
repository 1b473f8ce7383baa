// SPDX-License-Identifier: BSD-3-Clause
#include "device/gpu_module.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.hpp"

namespace dlscale {
namespace {

constexpr const char* module_name = "libdlscale_cuda.so";
constexpr const char* no_gpu = "no GPU can be used";

struct Module {
  void* handle = nullptr;
  std::string why;  // a sentence, when there is none
};

// Never unloaded: CUDA's own threads may outlive any scope of ours.
void* open_module(std::string& why) {
  const std::string here = executable_dir();
  for (const std::string& path :
       {here + "/" + module_name, here + "/../lib/dlscale/" + module_name, std::string(module_name)}) {
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) return handle;
    const char* text = dlerror();
    // A module that is there but lacks a library is the better story than one that is not there.
    if (access(path.c_str(), F_OK) == 0 || why.empty()) why = text == nullptr ? "unknown reason" : text;
  }
  return nullptr;
}

Module load_module() {
  Module module;
  std::string why;
  module.handle = open_module(why);
  if (module.handle == nullptr) {
    module.why = sentence(no_gpu, "the GPU module can't be loaded: " + why,
                          "build with the CUDA Toolkit (cmake --preset cuda), or use --device cpu");
    return module;
  }
  const auto build = reinterpret_cast<GpuBuildFunction>(dlsym(module.handle, gpu_build_symbol));
  if (build == nullptr || std::string_view(build()) != DLSCALE_MODULE_ID) {
    module.handle = nullptr;
    module.why = sentence(no_gpu, "the GPU module is of another dlscale", "install both from one build");
  }
  return module;
}

const Module& module_once() {
  static const Module once = load_module();
  return once;
}

GpuProbe probe() {
  GpuProbe result;
  if (result.why = module_once().why; !result.why.empty()) return result;
  const auto ask = reinterpret_cast<GpuProbeFunction>(gpu_symbol(gpu_probe_symbol));
  std::string text(1 << 16, '\0');
  if (ask == nullptr || ask(text.data(), static_cast<int>(text.size())) != 0) {
    result.why = sentence(no_gpu, "the GPU module is of another dlscale", "install both from one build");
    return result;
  }
  const auto facts = nlohmann::json::parse(text.c_str());
  if (facts.contains("error")) {
    result.why = sentence(no_gpu, facts.at("error").get<std::string>(),
                          "start on a node with a GPU and its driver, or use --device cpu");
    return result;
  }
  for (const auto& d : facts.at("devices"))
    result.devices.push_back({.name = d.at("name"),
                              .uuid = d.at("uuid"),
                              .pci = d.at("pci"),
                              .memory_bytes = d.at("memory_bytes"),
                              .capability = d.at("capability")});
  if (result.devices.empty())
    result.why =
        sentence(no_gpu, "the driver sees no device", "check CUDA_VISIBLE_DEVICES, or use --device cpu");
  return result;
}

}  // namespace

const GpuProbe& probe_gpus() {
  static const GpuProbe once = probe();
  return once;
}

bool finds_gpu() {
  static void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);  // as CUDA's runtime does
  return driver != nullptr && probe_gpus().usable();
}

void* gpu_symbol(const char* name) {
  void* handle = module_once().handle;
  return handle == nullptr ? nullptr : dlsym(handle, name);
}

void select_gpu(int index) {
  const auto select = reinterpret_cast<GpuSelectFunction>(gpu_symbol(gpu_select_symbol));
  if (select == nullptr) throw Error(ExitCode::refused, probe_gpus().why);
  if (const char* why = select(index); why != nullptr)
    throw Error(ExitCode::refused, "GPU " + std::to_string(index) + " can't be used", why,
                "look at the node with nvidia-smi, or use --device cpu");
}

GpuSensors read_gpu_sensors() {
  static const auto read = reinterpret_cast<GpuSensorsFunction>(gpu_symbol(gpu_sensors_symbol));
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  GpuSensors sensors{nan, nan, nan, nan};
  if (read != nullptr) read(&sensors);
  return sensors;
}

std::string executable_dir() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return ".";
  const std::string whole(path.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.find_last_of('/'));
}

}  // namespace dlscale
