// SPDX-License-Identifier: BSD-3-Clause
#include "device/blas.hpp"

#include <dlfcn.h>

namespace dlscale {
namespace {

// Looked up by name, so that any BLAS can stand behind the program.
template <class Function>
Function find(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

using SetThreads = void (*)(int);
using GetThreads = int (*)();
using GetText = const char* (*)();

}  // namespace

bool set_blas_threads(int threads) {
  for (const char* name :
       {"openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads"})
    if (const auto set = find<SetThreads>(name)) {
      set(threads);
      return true;
    }
  return threads == 1;
}

BlasFacts blas_facts() {
  BlasFacts facts;
  if (const auto config = find<char* (*)()>("openblas_get_config")) {
    facts.library = "OpenBLAS";
    facts.version = config();
    if (const auto core = find<char* (*)()>("openblas_get_corename")) facts.kernels = core();
    if (const auto threads = find<GetThreads>("openblas_get_num_threads")) facts.threads = threads();
  } else if (const auto mkl = find<void (*)(char*, int)>("MKL_Get_Version_String")) {
    char text[256] = {};
    mkl(text, static_cast<int>(sizeof text) - 1);
    facts.library = "MKL";
    facts.version = text;
    if (const auto threads = find<GetThreads>("MKL_Get_Max_Threads")) facts.threads = threads();
  } else if (const auto blis = find<GetText>("bli_info_get_version_str")) {
    facts.library = "BLIS";
    facts.version = blis();
    if (const auto threads = find<GetThreads>("bli_thread_get_num_threads")) facts.threads = threads();
  } else {
    facts.library = "unknown BLAS";
  }
  return facts;
}

}  // namespace dlscale
