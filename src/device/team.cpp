// SPDX-License-Identifier: BSD-3-Clause
#include "device/team.hpp"

#include <atomic>
#include <cstdint>
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

}  // namespace

struct ThreadTeam::Impl {
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> finished{0};
  std::atomic<bool> stop{false};
  const std::function<void(int)>* task = nullptr;
  std::vector<std::jthread> workers;

  void work(int index) {
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
