// SPDX-License-Identifier: BSD-3-Clause
// The calls that move data or wait. Packing, types and communicators are local work or set-up.
#include "comm/mpi_meter.hpp"

#include <mpi.h>

#include <atomic>
#include <utility>

#include "base/clock.hpp"

namespace dlscale {
namespace {

thread_local constinit bool metering = false;
thread_local constinit MpiTime spent;
constinit std::atomic<std::int64_t> planted_ns = 0;

template <class Call>
int timed(Call&& call) {
  const std::int64_t delay_ns = planted_ns.load(std::memory_order_relaxed);
  metering = false;  // an MPI call made inside an MPI call is not counted twice
  const std::int64_t start = now_ns();
  const int code = call();
  if (delay_ns > 0)
    for (const std::int64_t end = now_ns(); now_ns() - end < delay_ns;) continue;
  spent.ns += now_ns() - start;
  ++spent.calls;
  metering = true;
  return code;
}

template <class Call>
inline int metered(Call&& call) {
  if (!metering) [[likely]]
    return call();
  return timed(std::forward<Call>(call));
}

}  // namespace

MpiMeter::MpiMeter() noexcept : was_on_(std::exchange(metering, true)) {}

MpiMeter::~MpiMeter() {
  metering = was_on_;
}

MpiTime MpiMeter::take() noexcept {
  return std::exchange(spent, MpiTime{});
}

void plant_mpi_delay(std::int64_t ns) noexcept {
  planted_ns.store(ns, std::memory_order_relaxed);
}

}  // namespace dlscale

#define DLSCALE_METERED(name, parameters, arguments)                \
  int MPI_##name parameters {                                       \
    return dlscale::metered([&] { return PMPI_##name arguments; }); \
  }

extern "C" {

DLSCALE_METERED(Send, (const void* b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c),
                (b, n, t, to, tag, c))
DLSCALE_METERED(Ssend, (const void* b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c),
                (b, n, t, to, tag, c))
DLSCALE_METERED(Rsend, (const void* b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c),
                (b, n, t, to, tag, c))
DLSCALE_METERED(Isend,
                (const void* b, int n, MPI_Datatype t, int to, int tag, MPI_Comm c, MPI_Request* r),
                (b, n, t, to, tag, c, r))
DLSCALE_METERED(Recv, (void* b, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Status* s),
                (b, n, t, from, tag, c, s))
DLSCALE_METERED(Irecv, (void* b, int n, MPI_Datatype t, int from, int tag, MPI_Comm c, MPI_Request* r),
                (b, n, t, from, tag, c, r))
DLSCALE_METERED(Sendrecv,
                (const void* b, int n, MPI_Datatype t, int to, int tag, void* rb, int rn,
                 MPI_Datatype rt, int from, int rtag, MPI_Comm c, MPI_Status* s),
                (b, n, t, to, tag, rb, rn, rt, from, rtag, c, s))
DLSCALE_METERED(Probe, (int from, int tag, MPI_Comm c, MPI_Status* s), (from, tag, c, s))

DLSCALE_METERED(Wait, (MPI_Request * r, MPI_Status* s), (r, s))
DLSCALE_METERED(Waitall, (int n, MPI_Request r[], MPI_Status s[]), (n, r, s))
DLSCALE_METERED(Waitany, (int n, MPI_Request r[], int* i, MPI_Status* s), (n, r, i, s))
DLSCALE_METERED(Waitsome, (int n, MPI_Request r[], int* done, int i[], MPI_Status s[]),
                (n, r, done, i, s))
DLSCALE_METERED(Test, (MPI_Request * r, int* flag, MPI_Status* s), (r, flag, s))
DLSCALE_METERED(Testall, (int n, MPI_Request r[], int* flag, MPI_Status s[]), (n, r, flag, s))
DLSCALE_METERED(Testany, (int n, MPI_Request r[], int* i, int* flag, MPI_Status* s), (n, r, i, flag, s))

DLSCALE_METERED(Barrier, (MPI_Comm c), (c))
DLSCALE_METERED(Bcast, (void* b, int n, MPI_Datatype t, int root, MPI_Comm c), (b, n, t, root, c))
DLSCALE_METERED(Reduce,
                (const void* b, void* out, int n, MPI_Datatype t, MPI_Op op, int root, MPI_Comm c),
                (b, out, n, t, op, root, c))
DLSCALE_METERED(Allreduce, (const void* b, void* out, int n, MPI_Datatype t, MPI_Op op, MPI_Comm c),
                (b, out, n, t, op, c))
DLSCALE_METERED(Reduce_scatter,
                (const void* b, void* out, const int n[], MPI_Datatype t, MPI_Op op, MPI_Comm c),
                (b, out, n, t, op, c))
DLSCALE_METERED(Reduce_scatter_block,
                (const void* b, void* out, int n, MPI_Datatype t, MPI_Op op, MPI_Comm c),
                (b, out, n, t, op, c))
DLSCALE_METERED(Allgather,
                (const void* b, int n, MPI_Datatype t, void* out, int rn, MPI_Datatype rt, MPI_Comm c),
                (b, n, t, out, rn, rt, c))
DLSCALE_METERED(Allgatherv,
                (const void* b, int n, MPI_Datatype t, void* out, const int rn[], const int at[],
                 MPI_Datatype rt, MPI_Comm c),
                (b, n, t, out, rn, at, rt, c))
DLSCALE_METERED(Alltoall,
                (const void* b, int n, MPI_Datatype t, void* out, int rn, MPI_Datatype rt, MPI_Comm c),
                (b, n, t, out, rn, rt, c))
DLSCALE_METERED(Alltoallv,
                (const void* b, const int n[], const int at[], MPI_Datatype t, void* out, const int rn[],
                 const int rat[], MPI_Datatype rt, MPI_Comm c),
                (b, n, at, t, out, rn, rat, rt, c))
DLSCALE_METERED(Ibarrier, (MPI_Comm c, MPI_Request* r), (c, r))
DLSCALE_METERED(Ibcast, (void* b, int n, MPI_Datatype t, int root, MPI_Comm c, MPI_Request* r),
                (b, n, t, root, c, r))
DLSCALE_METERED(Iallreduce,
                (const void* b, void* out, int n, MPI_Datatype t, MPI_Op op, MPI_Comm c, MPI_Request* r),
                (b, out, n, t, op, c, r))

}  // extern "C"
