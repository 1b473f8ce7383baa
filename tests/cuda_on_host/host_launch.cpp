// SPDX-License-Identifier: BSD-3-Clause
#include <ucontext.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "host_cuda.hpp"

host_cuda::Index threadIdx, blockIdx, blockDim, gridDim;

namespace host_cuda {
namespace {

constexpr std::size_t stack_bytes = 64 * 1024;

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
  Index index;
  bool done = true;
  std::uint64_t shared = 0;
};
std::vector<std::unique_ptr<Fiber>> fibers;
ucontext_t scheduler;
unsigned current = 0;
const std::function<void()>* body = nullptr;

void enter() {
  (*body)();
  fibers[current]->done = true;
  swapcontext(&fibers[current]->context, &scheduler);
}

void start(Fiber& fiber) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = stack_bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, enter, 0);
  fiber.done = false;
}

// Every thread up to its next barrier, again and again until all have returned.
void run_block(unsigned threads) {
  for (bool alive = true; alive;) {
    alive = false;
    for (current = 0; current < threads; ++current) {
      Fiber& fiber = *fibers[current];
      if (fiber.done) continue;
      threadIdx = fiber.index;
      swapcontext(&scheduler, &fiber.context);
      alive = alive || !fiber.done;
    }
  }
}

}  // namespace

void barrier() {
  const unsigned own = current;
  swapcontext(&fibers[own]->context, &scheduler);
  threadIdx = fibers[own]->index;
}

std::uint64_t exchange(std::uint64_t bits, unsigned mask) {
  const unsigned own = current;
  fibers[own]->shared = bits;
  barrier();
  const std::uint64_t other = fibers[own ^ mask]->shared;
  barrier();
  return other;
}

void launch(dim3 grid, dim3 block, std::size_t, cudaStream_t, const std::function<void()>& kernel) {
  const unsigned threads = block.x * block.y * block.z;
  if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.y > 65535)
    throw std::runtime_error("a launch that no device takes");
  while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
  body = &kernel;
  blockDim = {block.x, block.y, block.z};
  gridDim = {grid.x, grid.y, grid.z};
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        for (unsigned t = 0; t < threads; ++t) {
          fibers[t]->index = {t % block.x, t / block.x % block.y, t / block.x / block.y};
          start(*fibers[t]);
        }
        run_block(threads);
      }
}

}  // namespace host_cuda
