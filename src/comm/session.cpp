// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>

#include "base/clock.hpp"
#include "comm/agreement.hpp"
#include "comm/communicator.hpp"

namespace dlscale {
namespace {

const char* level_name(int level) {
  switch (level) {
    case MPI_THREAD_SINGLE:
      return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED:
      return "MPI_THREAD_FUNNELED";
    case MPI_THREAD_SERIALIZED:
      return "MPI_THREAD_SERIALIZED";
    case MPI_THREAD_MULTIPLE:
      return "MPI_THREAD_MULTIPLE";
    default:
      return "an unknown level";
  }
}

/// The node tests put this rank on, if they ask for nodes of their own (see MpiSession).
std::optional<int> node_for_tests(int rank, int size) {
  const char* text = std::getenv("DLSCALE_TEST_RANKS_PER_NODE");
  if (text == nullptr) return std::nullopt;
  int per_node = 0;
  const char* end = text + std::strlen(text);
  if (const auto [rest, fault] = std::from_chars(text, end, per_node);
      fault != std::errc{} || rest != end || per_node < 1)
    throw Error(ExitCode::bad_input, fmt::format("DLSCALE_TEST_RANKS_PER_NODE='{}'", text),
                "not a number of ranks above zero", "unset it: it is meant for tests only");
  const char* round_robin = std::getenv("DLSCALE_TEST_NODE_ROUND_ROBIN");
  if (round_robin != nullptr && std::strcmp(round_robin, "1") == 0)
    return rank % ((size + per_node - 1) / per_node);
  return rank / per_node;
}

void finalize_without_throwing() noexcept {
  if (const int code = MPI_Finalize(); code != MPI_SUCCESS)
    fmt::print(stderr, "dlscale: MPI_Finalize failed (code {}); what was written before is complete\n",
               code);
}

}  // namespace

MpiSession::MpiSession(int wanted, int least) {
  int initialized = 0;
  DLSCALE_MPI(MPI_Initialized(&initialized));
  if (initialized != 0)
    throw Error(ExitCode::refused, "MPI was initialised before", "one MpiSession per process", "");
  const std::int64_t start_ns = now_ns();
  int provided = MPI_THREAD_SINGLE;
  DLSCALE_MPI(MPI_Init_thread(nullptr, nullptr, wanted, &provided));
  init_seconds_ = seconds_since(start_ns);
  try {
    if (provided < least)
      throw Error(ExitCode::refused, fmt::format("MPI does not give {}", level_name(least)),
                  fmt::format("it gives {}; {}", level_name(provided), library_version()),
                  "use an MPI built with thread support");
    make_communicators();
  } catch (const MpiError&) {
    throw;  // MPI itself failed: finalising could wait for ever
  } catch (...) {
    leaders_ = Communicator();
    node_ = Communicator();
    world_ = Communicator();
    finalize_without_throwing();  // every rank came to the same conclusion
    throw;
  }
}

void MpiSession::make_communicators() {
  DLSCALE_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN));
  world_ = Communicator(MPI_COMM_WORLD, Communicator::Ownership::wrapped).duplicate();
  const auto test_node = node_for_tests(world_.rank(), world_.size());
  node_ = test_node ? world_.split(*test_node, world_.rank()) : world_.split_node();
  // Ordered by world rank, and a node's leader is its lowest: the leaders' ranks are the nodes' numbers.
  leaders_ = world_.split(node_.rank() == 0 ? 0 : -1, world_.rank());
  std::array<int, 2> place{leaders_ ? leaders_.rank() : 0, leaders_ ? leaders_.size() : 0};
  broadcast_value(node_, place);
  node_index_ = place[0];
  nodes_ = place[1];
  node_of_rank_.resize(static_cast<std::size_t>(world_.size()));
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(MPI_Iallgather(&node_index_, 1, MPI_INT, node_of_rank_.data(), 1, MPI_INT, world_.get(),
                             &request));
  wait_asleep(request);
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > 0) return;
  leaders_ = Communicator();
  node_ = Communicator();
  world_ = Communicator();
  finalize_without_throwing();
}

std::string MpiSession::library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  DLSCALE_MPI(MPI_Get_library_version(text.data(), &length));
  std::string version(text.data());
  while (!version.empty() && (version.back() == '\n' || version.back() == ' ')) version.pop_back();
  return version;
}

}  // namespace dlscale
