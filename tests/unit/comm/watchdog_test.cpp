// SPDX-License-Identifier: BSD-3-Clause
// Watchdogs of several processes on this host, without MPI.
#include "comm/watchdog.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include "comm/watchdog_exit.hpp"
#include "dlscale_catch.hpp"
#include "forked.hpp"

using namespace dlscale;
using test::Child;

namespace {

constexpr double patience_s = 1;

/// Memory the children share: how they exchange addresses, and when all are there.
struct Meeting {
  std::array<WatchdogAddress, 2> addresses;
  std::atomic<int> arrived, started, busy;
};

class SharedMeeting {
 public:
  SharedMeeting()
      : memory_(
            mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("mmap");
    new (memory_) Meeting{};
  }
  ~SharedMeeting() { munmap(memory_, sizeof(Meeting)); }
  SharedMeeting(const SharedMeeting&) = delete;
  SharedMeeting& operator=(const SharedMeeting&) = delete;
  Meeting* operator->() const { return static_cast<Meeting*>(memory_); }

 private:
  void* memory_;
};

using Body = std::function<void(Watchdog&, int rank)>;

Watchdog::Setup setup_of(int rank, int size) {
  Watchdog::Setup setup{.rank = rank,
                        .size = size,
                        .patience_s = patience_s,
                        .hosts = {},
                        .on_expired = {},
                        .on_fatal = {}};
  if (rank < 2) setup.hosts.assign(static_cast<std::size_t>(size), "n1");
  if (rank > 0) return setup;
  setup.on_expired = [](const std::string&) { watchdog::print_line("root closed"); };
  setup.on_fatal = [](int failed, const std::string& words) {
    watchdog::print_line(fmt::format("root heard rank {}: {}", failed, words));
  };
  return setup;
}

void await(const std::atomic<int>& count, int size) {
  for (int ms = 0; count < size; ++ms) {
    if (ms > 20'000) throw std::runtime_error("not all ranks started");
    usleep(1000);
  }
}

std::vector<Child> start_ranks(const SharedMeeting& meeting, int size, const Body& body) {
  std::vector<Child> ranks;
  for (int rank = 0; rank < size; ++rank)
    ranks.emplace_back([&, rank] {
      Watchdog dog(setup_of(rank, size));
      if (rank < 2) meeting->addresses[static_cast<std::size_t>(rank)] = dog.address();
      ++meeting->arrived;
      await(meeting->arrived, size);
      dog.start(meeting->addresses[0], meeting->addresses[1]);
      ++meeting->started;
      await(meeting->started, size);
      body(dog, rank);
    });
  await(meeting->started, size);
  return ranks;
}

void wait_for_ever(Watchdog& dog, std::uint64_t stage = 7) {
  dog.waiting(stage, 0, "gather of case 4");
  for (;;) watchdog::sleep_s(100);
}

void work_for_ever(Watchdog& dog, double expected_s = 0) {
  dog.working("run of case 4", 4, expected_s);
  for (;;) watchdog::sleep_s(100);
}

}  // namespace

TEST_CASE("a rank that works for ever is named, all leave with 6, the root closes first", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 4, [](Watchdog& dog, int rank) {
    if (rank == 2) work_for_ever(dog, 100);
    wait_for_ever(dog);
  });
  const auto start_ns = now_ns();
  for (auto& rank : ranks) CHECK(rank.wait_for_end(patience_s + 5) == 6);
  CHECK(seconds_since(start_ns) > 0.8 * patience_s);
  const auto text = ranks[0].stderr_text();
  INFO(text);
  CHECK(text.find("dlscale: rank 2 (host n1) did not arrive at 'gather of case 4' within 1 s (last "
                  "word: working at "
                  "'run of case 4' for 1 s) look at that node") == 0);
  CHECK(text.find("\ndlscale: root closed\n") != std::string::npos);
  for (int quiet : {1, 2, 3}) CHECK(ranks[static_cast<std::size_t>(quiet)].stderr_text().empty());
}

TEST_CASE("a stopped rank gives no word", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 3, [](Watchdog& dog, int) { wait_for_ever(dog); });
  REQUIRE(kill(ranks[1].pid(), SIGSTOP) == 0);
  CHECK(ranks[0].wait_for_end(patience_s + 5) == 6);
  CHECK(ranks[2].wait_for_end(2) == 6);
  const auto text = ranks[0].stderr_text();
  CHECK(text.find("dlscale: rank 1 (host n1) did not arrive at 'gather of case 4' within 1 s (last "
                  "word: no word") == 0);
  REQUIRE(kill(ranks[1].pid(), SIGCONT) == 0);  // finds the order to leave in its queue
  CHECK(ranks[1].wait_for_end(3) == 6);
}

TEST_CASE("rank 1 takes over when rank 0 is stopped; rank 0 closes its file when it goes on",
          "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 3, [](Watchdog& dog, int rank) {
    rank == 0 ? work_for_ever(dog, 100) : wait_for_ever(dog);
  });
  watchdog::sleep_s(0.3);  // until rank 0 has greeted
  REQUIRE(kill(ranks[0].pid(), SIGSTOP) == 0);
  CHECK(ranks[1].wait_for_end(patience_s + 5) == 6);
  CHECK(ranks[2].wait_for_end(2) == 6);
  CHECK(ranks[1].stderr_text().find(
            "dlscale: rank 0 (host n1) did not arrive at 'gather of case 4' within 3 s") == 0);
  CHECK(ranks[2].stderr_text().empty());
  REQUIRE(kill(ranks[0].pid(), SIGCONT) == 0);
  CHECK(ranks[0].wait_for_end(3) == 6);
  CHECK(ranks[0].stderr_text() == "dlscale: root closed\n");
}

TEST_CASE("without both deputies every other rank leaves by itself", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 3, [](Watchdog& dog, int) { wait_for_ever(dog); });
  REQUIRE(kill(ranks[0].pid(), SIGSTOP) == 0);
  REQUIRE(kill(ranks[1].pid(), SIGSTOP) == 0);
  CHECK(ranks[2].wait_for_end(patience_s + 6) == 6);
}

TEST_CASE("nobody expires while states change in time, or may last for ever", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 3, [](Watchdog& dog, int rank) {
    for (std::uint64_t stage = 0; stage < 4; ++stage) {
      const WaitScope wait(dog, stage, 0, "stage");
      watchdog::sleep_s(0.65 * patience_s);  // long enough to be reported each time
    }
    dog.working("long case", 1, std::numeric_limits<double>::infinity());
    if (rank == 1) dog.waiting(9, 3, "expected long");
    watchdog::sleep_s(2 * patience_s);
  });
  for (auto& rank : ranks) {
    CHECK(rank.wait_for_end(8 * patience_s) == 0);
    CHECK(rank.stderr_text().empty());
  }
}

TEST_CASE("a suspended job goes on after its pause", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 3, [&](Watchdog& dog, int) {
    dog.waiting(1, 0, "stage");
    const auto start_ns = now_ns();
    ++meeting->busy;
    while (seconds_since(start_ns) < 4.3) watchdog::sleep_s(0.05);
  });
  await(meeting->busy, 3);
  for (auto& rank : ranks) REQUIRE(kill(rank.pid(), SIGSTOP) == 0);
  watchdog::sleep_s(4);
  for (auto& rank : ranks) REQUIRE(kill(rank.pid(), SIGCONT) == 0);
  for (auto& rank : ranks) {
    CHECK(rank.wait_for_end(3) == 0);
    CHECK(rank.stderr_text() == "");
  }
}

TEST_CASE("fatal() reaches the root with its message; all leave with 1", "[watchdog]") {
  const SharedMeeting meeting;
  const std::string message = "case 4: cuBLAS failed" + std::string(2000, '.');
  auto ranks = start_ranks(meeting, 3, [&](Watchdog& dog, int rank) {
    if (rank == 2) dog.fatal(message);
    work_for_ever(dog, 100);
  });
  CHECK(ranks[2].wait_for_end(3) == 1);
  CHECK(ranks[0].wait_for_end(3) == 1);
  CHECK(ranks[1].wait_for_end(3) == 1);
  CHECK(ranks[0].stderr_text() == "dlscale: root heard rank 2: " + message.substr(0, 1024) + "\n");
  const auto own = ranks[2].stderr_text();
  CHECK(own.find("dlscale: rank 2 (host ") == 0);
  CHECK(own.find(message) != std::string::npos);
}

TEST_CASE("fatal() on rank 0, with others and alone", "[watchdog]") {
  for (const int size : {1, 2}) {
    const SharedMeeting meeting;
    auto ranks = start_ranks(meeting, size, [](Watchdog& dog, int rank) {
      if (rank == 0) {
        watchdog::sleep_s(0.4);  // until rank 1 has greeted
        dog.fatal("no memory");
      }
      work_for_ever(dog, 100);
    });
    for (auto& rank : ranks) CHECK(rank.wait_for_end(4) == 1);
    CHECK(ranks[0].stderr_text() ==
          "dlscale: rank 0 (host n1): no memory\ndlscale: root heard rank 0: no memory\n");
  }
}

TEST_CASE("a rank that fails while the root is stopped does not stay", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 2, [](Watchdog& dog, int rank) {
    if (rank == 0) work_for_ever(dog, 100);
    watchdog::sleep_s(0.2);
    dog.fatal("lost");
  });
  REQUIRE(kill(ranks[0].pid(), SIGSTOP) == 0);
  CHECK(ranks[1].wait_for_end(4) == 1);
}

TEST_CASE("an idle watchdog costs next to nothing and ends at once", "[watchdog]") {
  const SharedMeeting meeting;
  auto ranks = start_ranks(meeting, 2, [](Watchdog& dog, int) {
    dog.working("long case", 1, 100);
    timespec before{}, after{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    watchdog::sleep_s(2);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const double used_s = static_cast<double>(after.tv_sec - before.tv_sec) +
                          1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec);
    watchdog::print_line(fmt::format("{:.2e} of a core", used_s / 2));
    _exit(used_s < 0.01 * 2 ? 0 : 1);
  });
  for (auto& rank : ranks) {
    CHECK(rank.wait_for_end(5) == 0);
    UNSCOPED_INFO(rank.stderr_text());
  }
}

TEST_CASE("start and end of a watchdog, many times", "[watchdog]") {
  for (int i = 0; i < 20; ++i) {
    Watchdog zero(setup_of(0, 2)), one(setup_of(1, 2));
    zero.start(zero.address(), one.address());
    one.start(zero.address(), one.address());
  }
  const auto start_ns = now_ns();
  { Watchdog never_started(setup_of(0, 4)); }
  CHECK(seconds_since(start_ns) < 0.5);
}
