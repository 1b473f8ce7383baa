// SPDX-License-Identifier: BSD-3-Clause
/// Every call of the CUDA runtime is checked, with the runtime's own text. The other libraries add their
/// overloads of check() beside their handles.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

#include "base/error.hpp"

namespace dlscale::cuda {

/// Error(case_failed): "cudaMemcpyAsync failed (an illegal memory access was encountered)".
[[noreturn]] inline void fail(const char* call, const std::string& text) {
  std::string name(call);
  name.resize(std::min(name.find('('), name.size()));
  throw Error(ExitCode::case_failed, name + " failed", text);
}

inline void check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // errors that don't break the context are forgotten; the others come back
  fail(call, std::string(cudaGetErrorName(code)) + ": " + cudaGetErrorString(code));
}

}  // namespace dlscale::cuda

#define DLSCALE_CUDA(call) ::dlscale::cuda::check((call), #call)
