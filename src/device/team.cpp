// SPDX-License-Identifier: BSD-3-Clause
#include "device/team.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <thread>
#include <vector>

#include "base/clock.hpp"

namespace dlscale {
namespace {

// Back-to-back tasks are met awake; after this a worker sleeps in the kernel.
constexpr std::int64_t spin_ns = 20'000;

template <class Done>
void wait_until(std::atomic<std::uint32_t>& value, std::uint32_t unwanted, Done done) {
  const std::int64_t start = now_ns();
  while (!done(value.load(std::memory_order_acquire))) {
    if (now_ns() - start < spin_ns) continue;
    value.wait(unwanted, std::memory_order_acquire);
    unwanted = value.load(std::memory_order_acquire);
  }
}

// Place of a processor among the hyperthreads of its core: 0 for the first. "0,64" or "0-1" begins with
// the first.
int sibling_place(int cpu) {
  std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  int first = cpu;
  return file >> first && first != cpu ? 1 : 0;
}

// Processors of the calling thread's mask, one of every core before the second of any. Empty if they
// can't be told.
std::vector<int> processors() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return {};
  std::vector<int> list;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &mask)) list.push_back(cpu);
  std::stable_sort(list.begin(), list.end(),
                   [](int a, int b) { return sibling_place(a) < sibling_place(b); });
  return list;
}

// Fails only if the mask was changed from outside meanwhile: then the thread stays unbound.
void bind_to(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof one, &one);
}

// The caller's mask is given back, for the other libraries that run on its thread.
class BoundCaller {
 public:
  explicit BoundCaller(int cpu)
      : bound_(cpu >= 0 && sched_getaffinity(0, sizeof before_, &before_) == 0) {
    if (bound_) bind_to(cpu);
  }
  ~BoundCaller() {
    if (bound_) sched_setaffinity(0, sizeof before_, &before_);
  }
  BoundCaller(const BoundCaller&) = delete;
  BoundCaller& operator=(const BoundCaller&) = delete;

 private:
  cpu_set_t before_{};
  bool bound_;
};

}  // namespace

struct ThreadTeam::Impl {
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> finished{0};
  std::atomic<bool> stop{false};
  const std::function<void(int)>* task = nullptr;
  std::vector<int> cpus;  ///< one per worker, or empty: unbound
  std::vector<std::jthread> workers;

  void work(int index) {
    if (!cpus.empty()) bind_to(cpus[static_cast<std::size_t>(index)]);
    std::uint32_t seen = 0;
    while (true) {
      wait_until(generation, seen, [seen](std::uint32_t now) { return now != seen; });
      ++seen;
      if (stop.load(std::memory_order_acquire)) return;
      (*task)(index);
      finished.fetch_add(1, std::memory_order_acq_rel);
      finished.notify_one();
    }
  }
};

ThreadTeam::ThreadTeam(int threads) : impl_(std::make_unique<Impl>()) {
  if (threads > 1) impl_->cpus = processors();
  if (static_cast<int>(impl_->cpus.size()) < threads) impl_->cpus.clear();
  for (int i = 1; i < threads; ++i) impl_->workers.emplace_back([this, i] { impl_->work(i); });
}

ThreadTeam::~ThreadTeam() {
  impl_->stop.store(true, std::memory_order_release);
  impl_->generation.fetch_add(1, std::memory_order_acq_rel);
  impl_->generation.notify_all();
}

int ThreadTeam::size() const {
  return static_cast<int>(impl_->workers.size()) + 1;
}

void ThreadTeam::run(const std::function<void(int)>& task) {
  const BoundCaller caller(impl_->cpus.empty() ? -1 : impl_->cpus.front());
  const auto others = static_cast<std::uint32_t>(impl_->workers.size());
  if (others > 0) {
    impl_->task = &task;
    impl_->finished.store(0, std::memory_order_relaxed);
    impl_->generation.fetch_add(1, std::memory_order_acq_rel);
    impl_->generation.notify_all();
  }
  task(0);
  if (others == 0) return;
  wait_until(impl_->finished, impl_->finished.load(std::memory_order_acquire),
             [others](std::uint32_t now) { return now == others; });
}

}  // namespace dlscale
