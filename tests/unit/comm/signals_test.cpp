// SPDX-License-Identifier: BSD-3-Clause
#include "comm/signals.hpp"

#include <signal.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "comm/watchdog_exit.hpp"
#include "dlscale_catch.hpp"
#include "forked.hpp"

using namespace dlscale;
using test::Child;

namespace {

/// A child is signalled only once its thread listens.
class Ready {
 public:
  Ready() {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    read_ = FileDescriptor(ends[0]);
    write_ = FileDescriptor(ends[1]);
  }
  void say() const {  // in the child and its threads: no assertion of the test framework here
    if (write(write_.get(), "r", 1) != 1) _exit(96);
  }
  void await() const {
    char c = 0;
    REQUIRE(read(read_.get(), &c, 1) == 1);
  }

 private:
  FileDescriptor read_, write_;
};

void sleep_for_ever() {
  for (;;) pause();
}

}  // namespace

TEST_CASE("SIGTERM, SIGINT and SIGUSR1 call back and exit with 128 + n", "[signals]") {
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    const Ready ready;
    Child child([&] {
      catch_ending_signals();
      const SignalThread thread([](int n) { watchdog::print_line("got " + std::to_string(n)); });
      ready.say();
      sleep_for_ever();
    });
    ready.await();
    REQUIRE(kill(child.pid(), number) == 0);
    const auto sent_ns = now_ns();
    CHECK(child.wait_for_end(5) == 128 + number);
    CHECK(seconds_since(sent_ns) < 0.5);
    CHECK(child.stderr_text() == "dlscale: got " + std::to_string(number) + "\n");
  }
}

TEST_CASE("a thread from before main's first line takes the signal: it is caught all the same",
          "[signals]") {
  const Ready ready;
  Child child([&] {
    std::thread library(sleep_for_ever);  // as OpenBLAS's workers: started before any mask of ours
    catch_ending_signals();
    const SignalThread thread([](int n) { watchdog::print_line("got " + std::to_string(n)); });
    if (pthread_kill(library.native_handle(), SIGTERM) != 0) _exit(95);
    ready.say();
    sleep_for_ever();
  });
  ready.await();
  CHECK(child.wait_for_end(5) == 128 + SIGTERM);
  CHECK(child.stderr_text() == "dlscale: got " + std::to_string(SIGTERM) + "\n");
}

TEST_CASE("a second signal does not cut the closing short, an exception does not stop the exit",
          "[signals]") {
  const Ready ready;
  Child child([&] {
    catch_ending_signals();
    const SignalThread thread([&](int) {
      ready.say();
      watchdog::sleep_s(0.3);
      watchdog::print_line("closed");
      throw std::runtime_error("disk full");
    });
    ready.say();
    sleep_for_ever();
  });
  ready.await();
  REQUIRE(kill(child.pid(), SIGTERM) == 0);
  ready.await();
  REQUIRE(kill(child.pid(), SIGTERM) == 0);
  REQUIRE(kill(child.pid(), SIGINT) == 0);
  CHECK(child.wait_for_end(5) == 128 + SIGTERM);
  CHECK(child.stderr_text() == "dlscale: closed\n");
}

TEST_CASE("the signal thread ends with its owner and leaves no descriptor", "[signals]") {
  Child child([] {
    catch_ending_signals();  // its pipe is made once and stays
    const int before = dup(0);
    close(before);
    for (int i = 0; i < 50; ++i) const SignalThread thread([](int) {});
    const int after = dup(0);
    _exit(before == after ? 3 : 4);
  });
  CHECK(child.wait_for_end(10) == 3);
}
