// SPDX-License-Identifier: BSD-3-Clause
/// What is launched again and again, recorded once and launched as a whole.
#pragma once

#include <functional>
#include <string>

#include "base/handle.hpp"
#include "cuda/stream.hpp"

namespace dlscale::cuda::dnn {

struct GraphTraits {
  static cudaGraph_t null() { return nullptr; }
  static void close(cudaGraph_t graph) noexcept { cudaGraphDestroy(graph); }
};
struct GraphExecTraits {
  static cudaGraphExec_t null() { return nullptr; }
  static void close(cudaGraphExec_t graph) noexcept { cudaGraphExecDestroy(graph); }
};

class Captured {
 public:
  /// Launches `work` in `stream`: the first calls directly, so that libraries load what they need, then
  /// as a graph. If it can't be captured, always directly.
  void run(const Stream& stream, const std::function<void()>& work);
  /// Addresses have changed.
  void forget();
  bool used() const { return static_cast<bool>(exec_); }
  std::size_t nodes() const { return nodes_; }
  const std::string& problem() const { return problem_; }  ///< why it could not be captured, or empty

 private:
  void capture(const Stream& stream, const std::function<void()>& work);

  static constexpr int direct_runs = 2;
  int runs_ = 0;
  Handle<GraphExecTraits> exec_;
  std::size_t nodes_ = 0;
  std::string problem_;
};

}  // namespace dlscale::cuda::dnn
