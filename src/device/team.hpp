// SPDX-License-Identifier: BSD-3-Clause
/// Threads of one rank that start together and sleep between tasks (no spinning while other ranks
/// measure).
#pragma once

#include <functional>
#include <memory>

namespace dlscale {

/// `threads` workers, the caller being the first. Each is bound to a core of its own inside the caller's
/// affinity mask (the caller only while it runs a task), hyperthreads last; with more threads than
/// processors in the mask nobody is bound. Unbound, two of them were seen on one core for whole tasks of
/// milliseconds.
class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const;
  /// task(i) on every worker i at once; returns when all are done. Tasks must not throw.
  void run(const std::function<void(int)>& task);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dlscale
