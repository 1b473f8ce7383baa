// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nccl.hpp"

#include <sched.h>

#include <cstdio>
#include <exception>
#include <map>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale::cuda {
namespace {

// NCCL's threads note errors within milliseconds; asking takes longer than asking the stream.
constexpr std::int64_t ask_every_ns = 1'000'000;
// Ranks that share a core (tests) must let each other run; alone on it nobody is waiting.
constexpr std::int64_t spin_ns = 50'000;

std::string words(ncclResult_t code) {
  std::string text = ncclGetErrorString(code);
  // Of the calling thread's last failure, of whatever communicator.
  if (const char* last = ncclGetLastError(nullptr); last != nullptr && *last != '\0')
    text += std::string(": ") + last;
  return text;
}

}  // namespace

void check(ncclResult_t code, const char* call) {
  if (code != ncclSuccess) fail(call, words(code));
}

ncclDataType_t nccl_type(Element type) {
  switch (type) {
    case Element::f64:
      return ncclFloat64;
    case Element::f32:
      return ncclFloat32;
    case Element::bf16:
      return ncclBfloat16;
    case Element::f16:
      return ncclFloat16;
    case Element::i8:
      return ncclInt8;
    case Element::i32:
      return ncclInt32;
    case Element::fp8:  // NCCL has it since 2.24 only
      break;
  }
  throw Error(ExitCode::case_failed, "fp8 is not exchanged by NCCL here");
}

NcclCommunicator::NcclCommunicator(const Communicator& comm) : rank_(comm.rank()), size_(comm.size()) {
  ncclUniqueId id{};
  together(comm, [&] {
    DLSCALE_CUDA(cudaFree(nullptr));  // a device that is lost says so here, before the others wait
    if (rank_ == 0) DLSCALE_CUDA(ncclGetUniqueId(&id));
  });
  broadcast_value(comm, id, 0);
  // Blocking: in the other mode NCCL starts a thread for every single operation. A rank that fails in
  // here closes its connections, and the others fail as well.
  together(comm, [&] {
    ncclComm_t made = nullptr;
    DLSCALE_CUDA(ncclCommInitRank(&made, size_, id, rank_));
    comm_ = Handle<NcclTraits>(made);
  });
}

NcclCommunicator::~NcclCommunicator() {
  if (!comm_ || std::uncaught_exceptions() > 0) return;
  if (const ncclResult_t code = ncclCommDestroy(comm_.release()); code != ncclSuccess)
    std::fprintf(stderr, "dlscale: ncclCommDestroy failed (%s)\n", words(code).c_str());
}

void NcclCommunicator::fail_if_broken() {
  ncclResult_t state = ncclSuccess;
  DLSCALE_CUDA(ncclCommGetAsyncError(comm_.get(), &state));
  if (state == ncclSuccess || state == ncclInProgress) return;
  const std::string text = words(state);
  comm_.reset();  // kernels that wait for the lost rank end
  throw Error(ExitCode::case_failed, "NCCL lost a rank, or the way to it", text,
              "set NCCL_DEBUG=INFO and look at the network and at the other ranks' messages");
}

void NcclCommunicator::wait() {
  wait_for(stream_, {this});
}

void wait_for(const Stream& stream, std::initializer_list<NcclCommunicator*> communicators) {
  const std::int64_t start = now_ns();
  std::int64_t asked = start;
  for (;;) {
    const cudaError_t state = cudaStreamQuery(stream.get());
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) check(state, "cudaStreamQuery");
    cudaGetLastError();  // "not ready" counts as an error there
    const std::int64_t now = now_ns();
    if (now - asked > ask_every_ns) {
      for (NcclCommunicator* one : communicators)
        if (one != nullptr) one->fail_if_broken();
      asked = now;
    }
    if (now - start > spin_ns) sched_yield();
  }
}

std::shared_ptr<NcclCommunicator> shared_nccl(const Communicator& comm) {
  static std::map<MPI_Comm, std::weak_ptr<NcclCommunicator>> known;
  std::weak_ptr<NcclCommunicator>& entry = known[comm.get()];
  if (auto one = entry.lock()) return one;
  auto one = std::make_shared<NcclCommunicator>(comm);
  entry = one;
  return one;
}

std::string nccl_version() {
  int code = 0;
  DLSCALE_CUDA(ncclGetVersion(&code));
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

}  // namespace dlscale::cuda
