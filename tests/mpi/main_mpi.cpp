// SPDX-License-Identifier: BSD-3-Clause
// Main of the MPI tests, for Catch2 2.13 and 3. All ranks run the same test at the same time, in
// declaration order. After each test the ranks agree on its outcome; a rank that failed and finds the
// others stuck in what it left ends the job. Output comes from rank 0, and from ranks that failed, with
// their number before each line.
#define CATCH_CONFIG_EXTERNAL_INTERFACES  // the listener
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "base/clock.hpp"
#include "dlscale_catch.hpp"
#include "run_catch.hpp"
#include "test_session.hpp"

namespace {

constexpr unsigned time_limit_s = 110;  // CTest's own is 120 s: this one says who, and in which test
constexpr double grace_s = 10;

dlscale::MpiSession* the_session = nullptr;
MPI_Comm harness_comm = MPI_COMM_NULL;  // tests that broke off can't confuse the harness
int my_rank = 0;
std::ostringstream caught_output;
char current_test[256] = "before the first test";

void print_prefixed(const std::string& text) {
  const std::string prefix = "[rank " + std::to_string(my_rank) + "] ";
  std::istringstream lines(text);
  std::string all;
  for (std::string line; std::getline(lines, line);) all += prefix + line + "\n";
  (void)!write(STDOUT_FILENO, all.data(), all.size());
}

/// Only async-signal-safe calls here.
extern "C" void out_of_time(int) {
  const char* parts[] = {"mpi_tests: time limit reached in test '", current_test, "'\n"};
  for (const char* part : parts) (void)!write(STDERR_FILENO, part, std::strlen(part));
  _exit(1);
}

/// Number of ranks that failed; a failed rank waits a limited time for the others to come.
int count_failed(bool failed_here) {
  const int mine = failed_here ? 1 : 0;
  int all = 0, done = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_SUM, harness_comm, &request));
  if (!failed_here) {
    dlscale::wait_asleep(request);
    return all;
  }
  const auto start_ns = dlscale::now_ns();
  while (dlscale::seconds_since(start_ns) < grace_s) {
    DLSCALE_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return all;
    usleep(1000);
  }
  print_prefixed(caught_output.str() + "the others are stuck in '" + current_test +
                 "', which this rank left");
  MPI_Abort(MPI_COMM_WORLD, 1);
  return all;
}

#if DLSCALE_CATCH_MAJOR >= 3
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

class AgreeAfterEachTest : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;
  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    std::strncpy(current_test, info.name.c_str(), sizeof current_test - 1);
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const bool failed_here = stats.totals.assertions.failed > 0;
    const int failed = count_failed(failed_here);
    if (failed > 0 && my_rank == 0)
      std::cerr << "mpi_tests: '" << current_test << "' failed on " << failed << " rank(s)\n";
  }
};
CATCH_REGISTER_LISTENER(AgreeAfterEachTest)

/// Catch2 writes to std::cout; what the ranks say is shown afterwards.
class CaughtOutput {
 public:
  CaughtOutput() : before_(std::cout.rdbuf(caught_output.rdbuf())) {}
  ~CaughtOutput() { std::cout.rdbuf(before_); }
  CaughtOutput(const CaughtOutput&) = delete;
  CaughtOutput& operator=(const CaughtOutput&) = delete;

 private:
  std::streambuf* before_;
};

int run_tests(int argc, char** argv) {
  const CaughtOutput caught;
  return dlscale::run_catch(argc, argv, true);
}

}  // namespace

dlscale::MpiSession& dlscale::test_session() {
  if (the_session == nullptr) throw std::logic_error("test_session() before main");
  return *the_session;
}

int main(int argc, char** argv) {
  // Threads that communicate are tested where MPI allows them.
  dlscale::MpiSession session(MPI_THREAD_MULTIPLE);
  the_session = &session;
  my_rank = session.world().rank();
  const auto harness = session.world().duplicate();
  harness_comm = harness.get();
  signal(SIGALRM, out_of_time);
  alarm(time_limit_s);
  const int failed = run_tests(argc, argv);
  if (failed != 0) print_prefixed(caught_output.str());
  const bool failed_anywhere = count_failed(failed != 0) > 0;
  if (!failed_anywhere && my_rank == 0) std::cout << caught_output.str();
  return failed_anywhere ? 1 : 0;
}
