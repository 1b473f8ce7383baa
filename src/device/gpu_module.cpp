// SPDX-License-Identifier: BSD-3-Clause
#include "device/gpu_module.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace dlscale {
namespace {

constexpr const char* module_name = "libdlscale_cuda.so";

// Never unloaded: CUDA's own threads may outlive any scope of ours.
void* load_module(std::string& why) {
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

GpuProbe probe() {
  GpuProbe result;
  std::string why;
  void* module = load_module(why);
  if (module == nullptr) {
    result.why = sentence("no GPU can be used", "the GPU module can't be loaded: " + why,
                          "build with the CUDA Toolkit (cmake --preset cuda), or use --device cpu");
    return result;
  }
  const auto ask = reinterpret_cast<GpuProbeFunction>(dlsym(module, gpu_probe_symbol));
  std::string text(1 << 16, '\0');
  if (ask == nullptr || ask(text.data(), static_cast<int>(text.size())) != 0) {
    result.why = sentence("no GPU can be used", "the GPU module is of another dlscale",
                          "install both from one build");
    return result;
  }
  const auto facts = nlohmann::json::parse(text.c_str());
  if (facts.contains("error")) {
    result.why = sentence("no GPU can be used", facts.at("error").get<std::string>(),
                          "start on a node with a GPU and its driver, or use --device cpu");
    return result;
  }
  for (const auto& d : facts.at("devices"))
    result.devices.push_back({d.at("name"), d.at("uuid"), d.at("pci"), d.at("memory_bytes")});
  if (result.devices.empty())
    result.why = sentence("no GPU can be used", "the driver sees no device",
                          "check CUDA_VISIBLE_DEVICES, or use --device cpu");
  return result;
}

}  // namespace

const GpuProbe& probe_gpus() {
  static const GpuProbe once = probe();
  return once;
}

std::string executable_dir() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return ".";
  const std::string whole(path.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.find_last_of('/'));
}

}  // namespace dlscale
