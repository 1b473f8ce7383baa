// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/nn/graph_capture.hpp"

namespace dlscale::cuda::dnn {

void Captured::forget() {
  exec_.reset();
  runs_ = 0;
}

void Captured::capture(const Stream& stream, const std::function<void()>& work) {
  DLSCALE_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  const std::string failure = failure_of(work);
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream.get(), &graph);
  const Handle<GraphTraits> owner(graph);
  if (!failure.empty()) {
    cudaGetLastError();
    throw Error(ExitCode::case_failed, failure);
  }
  check(ended, "cudaStreamEndCapture");
  DLSCALE_CUDA(cudaGraphGetNodes(graph, nullptr, &nodes_));
  cudaGraphExec_t exec = nullptr;
  DLSCALE_CUDA(cudaGraphInstantiate(&exec, graph, 0));
  exec_ = Handle<GraphExecTraits>(exec);
  DLSCALE_CUDA(cudaGraphUpload(exec, stream.get()));
}

void Captured::run(const Stream& stream, const std::function<void()>& work) {
  if (!exec_ && problem_.empty() && runs_ >= direct_runs)
    problem_ = failure_of([&] { capture(stream, work); });
  if (exec_) {
    DLSCALE_CUDA(cudaGraphLaunch(exec_.get(), stream.get()));
    return;
  }
  ++runs_;
  work();
}

}  // namespace dlscale::cuda::dnn
