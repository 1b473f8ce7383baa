// SPDX-License-Identifier: BSD-3-Clause
#include "device/blas.hpp"

#include <dlfcn.h>

#include <climits>
#include <cstdlib>

namespace dlscale {
namespace {

// Looked up by name, so that any BLAS can stand behind the program.
template <class Function>
Function find(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

std::string library_of(const char* function) {
  // Behind the program: it may have a dgemm_ of its own that times and forwards (pdgemm's). Where the
  // BLAS is linked statically, the program's own is it.
  void* address = dlsym(RTLD_NEXT, function);
  if (address == nullptr) address = dlsym(RTLD_DEFAULT, function);
  Dl_info info = {};
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  char path[PATH_MAX] = {};
  return realpath(info.dli_fname, path) != nullptr ? path : info.dli_fname;
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
  facts.library = library_of("dgemm_");
  if (const auto config = find<char* (*)()>("openblas_get_config")) {
    facts.vendor = "OpenBLAS";
    facts.config = config();
    if (const auto core = find<char* (*)()>("openblas_get_corename")) facts.core_name = core();
    if (const auto threads = find<GetThreads>("openblas_get_num_threads")) facts.threads = threads();
  } else if (const auto mkl = find<void (*)(char*, int)>("MKL_Get_Version_String")) {
    char text[256] = {};
    mkl(text, static_cast<int>(sizeof text) - 1);
    facts.vendor = "MKL";
    facts.config = text;
    if (const auto threads = find<GetThreads>("MKL_Get_Max_Threads")) facts.threads = threads();
  } else if (const auto blis = find<GetText>("bli_info_get_version_str")) {
    facts.vendor = "BLIS";
    facts.config = blis();
    if (const auto threads = find<GetThreads>("bli_thread_get_num_threads")) facts.threads = threads();
  } else {
    facts.vendor = "unknown BLAS";
  }
  return facts;
}

}  // namespace dlscale
