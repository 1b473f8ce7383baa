// SPDX-License-Identifier: BSD-3-Clause
#include "comm/bf16_sum.hpp"

#include "comm/communicator.hpp"

namespace dlscale {
namespace {

// One loop, which the compiler vectorises for each target; no branch in it.
#define DLSCALE_BF16_SUM(NAME, TARGET)                                                  \
  TARGET void NAME(const std::uint16_t* __restrict in, std::uint16_t* __restrict inout, \
                   std::int64_t count) {                                                \
    for (std::int64_t i = 0; i < count; ++i)                                            \
      inout[i] = to_bf16(to_float(Bf16{inout[i]}) + to_float(Bf16{in[i]})).bits;        \
  }

DLSCALE_BF16_SUM(add_portable, )
#if defined(__x86_64__)
DLSCALE_BF16_SUM(add_avx2, __attribute__((target("avx2"))))
DLSCALE_BF16_SUM(add_avx512, __attribute__((target("avx512f,avx512bw,avx512vl"))))
#endif
#undef DLSCALE_BF16_SUM

std::vector<Bf16SumKernel> find_kernels() {
  std::vector<Bf16SumKernel> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    kernels.push_back({"avx512", add_avx512});
  if (__builtin_cpu_supports("avx2")) kernels.push_back({"avx2", add_avx2});
#endif
  kernels.push_back({"portable", add_portable});
  return kernels;
}

}  // namespace

const std::vector<Bf16SumKernel>& available_bf16_sum_kernels() {
  static const std::vector<Bf16SumKernel> kernels = find_kernels();
  return kernels;
}

void MpiOpTraits::close(MPI_Op op) noexcept {
  int finalized = 0;
  MPI_Finalized(&finalized);
  // Local; nothing is left to do about a failure.
  if (finalized == 0) MPI_Op_free(&op);
}

extern "C" {
static void dlscale_bf16_sum(void* in, void* inout, int* count, MPI_Datatype*) {
  available_bf16_sum_kernels().front().add(static_cast<const std::uint16_t*>(in),
                                           static_cast<std::uint16_t*>(inout), *count);
}
}

OwnedMpiOp make_bf16_sum() {
  MPI_Op op = MPI_OP_NULL;
  DLSCALE_MPI(MPI_Op_create(dlscale_bf16_sum, 1, &op));
  return OwnedMpiOp(op);
}

}  // namespace dlscale
