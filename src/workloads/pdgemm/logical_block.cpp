// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/logical_block.hpp"

#include <dlfcn.h>

#include <cstddef>
#include <utility>

namespace dlscale {
namespace {

int wanted = 0;  // BLACS is used from the main thread only
std::int64_t questions = 0;

// ScaLAPACK's default where its own function is not in a shared library (TOOLS/SL_init.f, pilaenv.f).
constexpr int usual_block = 32;

using Pilaenv = int (*)(const int*, const char*, std::size_t);

int ask_library(const int* context, const char* precision) noexcept {
  static const auto own = reinterpret_cast<Pilaenv>(dlsym(RTLD_NEXT, "pilaenv_"));
  return own != nullptr ? own(context, precision, 1) : 0;
}

}  // namespace

LogicalBlockScope::LogicalBlockScope(std::int64_t size) noexcept
    : before_(std::exchange(wanted, static_cast<int>(size))) {}

LogicalBlockScope::~LogicalBlockScope() {
  wanted = before_;
}

std::int64_t logical_block_questions() noexcept {
  return questions;
}

int librarys_logical_block(int context, bool is_double) noexcept {
  return ask_library(&context, is_double ? "D" : "S");
}

}  // namespace dlscale

// In Fortran its second argument has a hidden length; PBLAS, in C, passes none.
extern "C" int pilaenv_(const int* context, const char* precision) {
  using namespace dlscale;
  ++questions;
  if (wanted > 0) return wanted;
  const int own = ask_library(context, precision);
  return own > 0 ? own : usual_block;
}
