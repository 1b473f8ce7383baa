// SPDX-License-Identifier: BSD-3-Clause
/// Gradients summed by MPI, in place, bucket after bucket.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "comm/communicator.hpp"
#include "nn/executor.hpp"
#include "nn/gradient_reducer.hpp"

namespace dlscale {

enum class Overlap {
  none,   ///< one blocking all-reduce per bucket, after the backward pass
  test,   ///< non-blocking ones during it, which MPI moves on when it is asked to between layers
  thread  ///< blocking ones by a thread of their own during it; needs MPI_THREAD_MULTIPLE
};
/// Of the key `overlap`.
Overlap overlap_of(std::string_view text);

/// `own` is its alone; `buckets` must outlive it. Throws Error(case_failed) where MPI does not allow the
/// thread. Local: no communication until start().
std::unique_ptr<nn::GradientReducer> make_mpi_reducer(Communicator own,
                                                      std::span<const nn::Bucket> buckets,
                                                      Overlap overlap);

/// Whether this launch's MPI allows calls from several threads at once.
bool mpi_thread_multiple();

}  // namespace dlscale
