// SPDX-License-Identifier: BSD-3-Clause
// What stands for NCCL's reducer in a build without NCCL.
#include "base/error.hpp"
#include "cuda/nccl_reducer.hpp"

namespace dlscale::cuda {

std::unique_ptr<nn::GradientReducer> make_nccl_reducer(const Communicator&, dnn::GpuExecutor&, bool) {
  throw Error(ExitCode::case_failed, "gradients can't be summed by NCCL", "this build has none",
              "use implementation = \"mpi\", or build with NCCL");
}

}  // namespace dlscale::cuda
