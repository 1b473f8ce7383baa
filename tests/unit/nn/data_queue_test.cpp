// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/data/batch_queue.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

LoaderOptions queue_options(int workers, int depth) {
  LoaderOptions o;
  o.batch = 2;
  o.workers = workers;
  o.depth = depth;
  o.input = {1, 1, 1};
  return o;
}

int write_number(std::int64_t number, float* images, std::int32_t* labels) {
  images[0] = images[1] = static_cast<float>(number);
  labels[0] = labels[1] = static_cast<std::int32_t>(number);
  return 2;
}

}  // namespace

TEST_CASE("what a producer throws reaches next() in its place, until the next epoch") {
  for (const int workers : {0, 1, 3}) {
    INFO(workers << " workers");
    std::atomic<bool> faulty{true};
    BatchQueue queue(queue_options(workers, 2),
                     [&](std::int64_t number, float* images, std::int32_t* labels) {
                       if (number == 3 && faulty) throw std::runtime_error("batch 3 is broken");
                       return write_number(number, images, labels);
                     });
    for (int round = 0; round < 3; ++round) {
      faulty = round != 1;
      queue.start(6, [] {});
      for (int i = 0; i < 3; ++i) REQUIRE(queue.next().labels[0] == i);
      if (faulty) {
        CHECK_THROWS_WITH(queue.next(), "batch 3 is broken");
        CHECK_THROWS_WITH(queue.next(), "batch 3 is broken");
      } else {
        for (int i = 3; i < 6; ++i) REQUIRE(queue.next().labels[0] == i);
        CHECK(queue.next().count == 0);
      }
    }
  }
}

TEST_CASE("an epoch that can't be prepared is empty, and the next one works") {
  BatchQueue queue(queue_options(2, 2), write_number);
  queue.start(6, [] {});
  CHECK_THROWS_WITH(queue.start(6, [] { throw std::runtime_error("no order"); }), "no order");
  CHECK(queue.next().count == 0);
  queue.start(1, [] {});
  CHECK(queue.next().count == 2);
  CHECK(queue.next().count == 0);
}

TEST_CASE("a new epoch waits for what is being filled") {
  std::atomic<int> filling{0}, begun{0};
  BatchQueue queue(queue_options(3, 2), [&](std::int64_t number, float* images, std::int32_t* labels) {
    ++filling;
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const int count = write_number(number, images, labels);
    --filling;
    return count;
  });
  for (int round = 0; round < 20; ++round) {
    int seen = -1, before = 0;
    queue.start(50, [&] {
      seen = filling;
      before = begun;
    });
    REQUIRE(seen == 0);
    // Not while `filling` is 0: the queue may be full again before this thread looks.
    while (begun == before) std::this_thread::yield();
  }
}

TEST_CASE("producers fill the queue, no more, and leave the user's batch alone") {
  for (const int workers : {1, 2, 3})
    for (const int depth : {1, 2, 4}) {
      const std::int64_t bound = std::int64_t{workers} * depth;
      std::atomic<std::int64_t> filled{0}, taken{0}, most_ahead{0};
      BatchQueue queue(queue_options(workers, depth),
                       [&](std::int64_t number, float* images, std::int32_t* labels) {
                         const std::int64_t ahead = number - taken + 1;
                         for (std::int64_t seen = most_ahead;
                              seen < ahead && !most_ahead.compare_exchange_weak(seen, ahead);) {
                         }
                         const int count = write_number(number, images, labels);
                         ++filled;
                         return count;
                       });
      queue.start(40, [] {});
      for (std::int64_t i = 0; i < 40; ++i) {
        // The queue gets full while nobody takes anything; a producer that stopped hangs the test here.
        while (filled < std::min<std::int64_t>(40, i + bound)) std::this_thread::yield();
        ++taken;
        const BatchView view = queue.next();
        while (filled < std::min<std::int64_t>(40, i + 1 + bound)) std::this_thread::yield();
        REQUIRE(view.count == 2);
        REQUIRE(view.labels[1] == i);
        REQUIRE(view.images[1] == static_cast<float>(i));
      }
      CHECK(queue.next().count == 0);
      CHECK(filled == 40);
      CHECK(most_ahead == bound);
    }
}

TEST_CASE("time blocked for want of a batch is counted once") {
  for (const int workers : {0, 2}) {
    BatchQueue queue(queue_options(workers, 1),
                     [&](std::int64_t number, float* images, std::int32_t* labels) {
                       std::this_thread::sleep_for(std::chrono::milliseconds(3));
                       return write_number(number, images, labels);
                     });
    CHECK(queue.take_stall_s() == 0);
    queue.start(20, [] {});
    while (queue.next().count > 0) {
    }
    CHECK(queue.take_stall_s() > 0);
    CHECK(queue.take_stall_s() == 0);
  }
}

TEST_CASE("batches lie at cache lines and memory is taken once") {
  LoaderOptions o = queue_options(2, 2);
  o.batch = 3, o.input = {1, 5, 7};
  BatchSlots slots(5, o.batch, o.input);
  for (std::int64_t i = 0; i < 5; ++i) {
    CHECK(reinterpret_cast<std::uintptr_t>(slots.images(i)) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(slots.labels(i)) % 64 == 0);
    if (i > 0) CHECK(slots.images(i) - slots.images(i - 1) >= 3 * 35);
  }
  BatchQueue queue(o, [](std::int64_t, float*, std::int32_t*) { return 3; });
  std::vector<const float*> first, second;
  for (auto* seen : {&first, &second}) {
    queue.start(10, [] {});
    for (BatchView view = queue.next(); view.count > 0; view = queue.next())
      seen->push_back(view.images.data());
  }
  CHECK(first.size() == 10);
  CHECK(first == second);
}
