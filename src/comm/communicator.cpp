// SPDX-License-Identifier: BSD-3-Clause
#include "comm/communicator.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>
#include <utility>

namespace dlscale {
namespace {

bool mpi_is_up() noexcept {
  int initialized = 0, finalized = 0;
  // Both may be called at any time and can't fail with valid pointers.
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized != 0 && finalized == 0;
}

std::string error_text(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (!mpi_is_up() || MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS)
    return fmt::format("MPI error code {}", code);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

std::string this_process() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {"unknown"};
  int rank = -1;
  if (!mpi_is_up() || MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS)
    return fmt::format("host {}", host.data());
  return fmt::format("rank {}, host {}", rank, host.data());
}

std::string describe(int code, std::string_view call, std::string_view file, int line) {
  const auto name = call.substr(0, call.find('('));
  const auto slash = file.rfind('/');
  if (slash != std::string_view::npos) file.remove_prefix(slash + 1);
  return sentence(fmt::format("{} failed on {}", name, this_process()),
                  fmt::format("{}; in {} at {}:{}", error_text(code), call, file, line),
                  "see MPI's own messages and that host's interconnect");
}

}  // namespace

MpiError::MpiError(int code, const char* call, const char* file, int line)
    : Error(ExitCode::case_failed, describe(code, call, file, line)) {}

Communicator::Communicator(MPI_Comm comm, Ownership ownership) : comm_(comm), ownership_(ownership) {
  if (comm_ == MPI_COMM_NULL) return;
  DLSCALE_MPI(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
  DLSCALE_MPI(MPI_Comm_rank(comm_, &rank_));
  DLSCALE_MPI(MPI_Comm_size(comm_, &size_));
}

Communicator::Communicator(Communicator&& other) noexcept
    : comm_(std::exchange(other.comm_, MPI_COMM_NULL)),
      rank_(std::exchange(other.rank_, -1)),
      size_(std::exchange(other.size_, 0)),
      ownership_(std::exchange(other.ownership_, Ownership::wrapped)) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  Communicator taken(std::move(other));
  std::swap(comm_, taken.comm_);
  std::swap(rank_, taken.rank_);
  std::swap(size_, taken.size_);
  std::swap(ownership_, taken.ownership_);
  return *this;
}

Communicator::~Communicator() {
  if (comm_ == MPI_COMM_NULL || ownership_ != Ownership::owned) return;
  if (std::uncaught_exceptions() > 0 || !mpi_is_up()) return;
  if (const int code = MPI_Comm_free(&comm_); code != MPI_SUCCESS)
    fmt::print(stderr, "dlscale: {}\n", describe(code, "MPI_Comm_free", __FILE__, __LINE__));
}

Communicator Communicator::duplicate() const {
  MPI_Comm copy = MPI_COMM_NULL;
  DLSCALE_MPI(MPI_Comm_dup(comm_, &copy));
  return Communicator(copy, Ownership::owned);
}

Communicator Communicator::split(int color, int key) const {
  MPI_Comm part = MPI_COMM_NULL;
  DLSCALE_MPI(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, &part));
  return Communicator(part, Ownership::owned);
}

Communicator Communicator::split_node() const {
  MPI_Comm part = MPI_COMM_NULL;
  DLSCALE_MPI(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part));
  return Communicator(part, Ownership::owned);
}

void wait_asleep(MPI_Request& request) {
  constexpr int quick_tests = 300;
  // One to see what arrived, one to complete the round of the collective that it ends.
  constexpr int tests_per_wake = 2;
  constexpr long first_pause_ns = 50'000, usual_pause_ns = 1'000'000, longest_pause_ns = 4'000'000;
  const auto done = [&request] {
    int flag = 0;
    DLSCALE_MPI(MPI_Test(&request, &flag, MPI_STATUS_IGNORE));
    return flag != 0;
  };
  for (int i = 0; i < quick_tests; ++i) {
    if (done()) return;
    sched_yield();
  }
  long slept_ns = 0;
  for (long pause_ns = first_pause_ns;;) {
    const timespec pause{.tv_sec = 0, .tv_nsec = pause_ns};
    nanosleep(&pause, nullptr);  // cut short by a signal: one more test, no harm
    for (int i = 0; i < tests_per_wake; ++i)
      if (done()) return;
    slept_ns += pause_ns;
    // A wake-up costs 10 to 30 µs on virtual machines: a thousand per second would be more than 2 % of a
    // core.
    const long longest_now_ns = std::clamp(slept_ns / 250, usual_pause_ns, longest_pause_ns);
    pause_ns = std::min(pause_ns + pause_ns / 4, longest_now_ns);
  }
}

}  // namespace dlscale
