// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/blas_meter.hpp"

#include <dlfcn.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/clock.hpp"

// Keeps the BLAS that the program was linked with among its libraries: linkers that drop what nobody
// asks for (--as-needed) would leave the one that ScaLAPACK happens to bring.
extern "C" void dscal_(const int*, const double*, double*, const int*);

namespace dlscale {
namespace {

thread_local constinit bool metering = false;
thread_local constinit BlasTime spent;

using Dscal = void (*)(const int*, const double*, double*, const int*);
[[gnu::used]] const Dscal linked_blas = dscal_;

template <class T>
using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const T*, const T*,
                      const int*, const T*, const int*, const T*, T*, const int*, std::size_t,
                      std::size_t);

// The first one behind the program itself. Without it there is no product, so there is nothing to throw
// for.
template <class T>
Gemm<T> behind_us(const char* name) {
  auto* const found = reinterpret_cast<Gemm<T>>(dlsym(RTLD_NEXT, name));
  if (found == nullptr) {
    std::fprintf(
        stderr,
        "dlscale: no shared library has %s (a static BLAS can't be forwarded to) link a shared one\n",
        name);
    std::abort();
  }
  return found;
}

const Gemm<double>& real_dgemm() {
  static const Gemm<double> real = behind_us<double>("dgemm_");
  return real;
}

const Gemm<float>& real_sgemm() {
  static const Gemm<float> real = behind_us<float>("sgemm_");
  return real;
}

template <class Call>
void timed(std::int64_t m, std::int64_t n, std::int64_t k, Call&& call) {
  metering = false;  // a BLAS that calls itself by name is not counted twice
  const std::int64_t start = now_ns();
  call();
  spent.ns += now_ns() - start;
  ++spent.calls;
  const auto flops = [](std::int64_t a, std::int64_t b, std::int64_t c) {
    return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
  };
  if (flops(m, n, k) > flops(spent.m, spent.n, spent.k)) {
    spent.m = m;
    spent.n = n;
    spent.k = k;
  }
  metering = true;
}

}  // namespace

BlasMeter::BlasMeter() noexcept : was_on_(std::exchange(metering, true)) {}

BlasMeter::~BlasMeter() {
  metering = was_on_;
}

BlasTime BlasMeter::take() noexcept {
  return std::exchange(spent, BlasTime{});
}

std::string forwarded_blas() {
  Dl_info info = {};
  const bool known = dladdr(reinterpret_cast<void*>(real_dgemm()), &info) != 0;
  return known && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace dlscale

// Fortran passes the lengths of ta and tb behind the last argument, C does not: ours takes none and
// passes them.
#define DLSCALE_METERED_GEMM(name, T)                                                                 \
  void name##_(const char* ta, const char* tb, const int* m, const int* n, const int* k,              \
               const T* alpha, const T* a, const int* lda, const T* b, const int* ldb, const T* beta, \
               T* c, const int* ldc) {                                                                \
    const auto call = [&] {                                                                           \
      dlscale::real_##name()(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, 1, 1);             \
    };                                                                                                \
    if (!dlscale::metering) [[likely]]                                                                \
      return call();                                                                                  \
    dlscale::timed(*m, *n, *k, call);                                                                 \
  }

extern "C" {
DLSCALE_METERED_GEMM(dgemm, double)
DLSCALE_METERED_GEMM(sgemm, float)
}
