// SPDX-License-Identifier: BSD-3-Clause
#include "comm/agreement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "comm/gather_pieces.hpp"

namespace dlscale {
namespace {

template <class T, std::size_t N>
std::array<T, N> reduce(const Communicator& comm, std::array<T, N> values, MPI_Datatype type,
                        MPI_Op op) {
  std::array<T, N> result{};
  MPI_Request request = MPI_REQUEST_NULL;
  DLSCALE_MPI(
      MPI_Iallreduce(values.data(), result.data(), static_cast<int>(N), type, op, comm.get(), &request));
  wait_asleep(request);
  return result;
}

}  // namespace

Agreement agree(const Communicator& comm, bool ok, const std::string& message) {
  const auto failures = sum_over_ranks(comm, ok ? 0 : 1);
  if (failures == 0) return {};
  Agreement answer{.ok = false, .rank = -1, .failures = static_cast<int>(failures), .message = message};
  answer.rank = reduce<int, 1>(comm, {ok ? comm.size() : comm.rank()}, MPI_INT, MPI_MIN)[0];
  broadcast_bytes(comm, answer.message, answer.rank);
  return answer;
}

void broadcast_bytes(const Communicator& comm, std::string& bytes, int root) {
  constexpr std::size_t piece = std::size_t{1} << 29;
  auto size = static_cast<std::uint64_t>(bytes.size());
  broadcast_value(comm, size, root);
  if (comm.rank() != root) bytes.resize(size);
  for (std::size_t offset = 0; offset < size; offset += piece) {
    const int count = static_cast<int>(std::min(piece, bytes.size() - offset));
    MPI_Request request = MPI_REQUEST_NULL;
    DLSCALE_MPI(MPI_Ibcast(bytes.data() + offset, count, MPI_BYTE, root, comm.get(), &request));
    wait_asleep(request);
  }
}

double max_over_ranks(const Communicator& comm, double value) {
  // MPI_MAX may lose a NaN, and with it a failure: it travels beside the maximum.
  const bool nan = std::isnan(value);
  const auto result =
      reduce<double, 2>(comm, {nan ? 1.0 : 0.0, nan ? -std::numeric_limits<double>::infinity() : value},
                        MPI_DOUBLE, MPI_MAX);
  return result[0] > 0 ? std::numeric_limits<double>::quiet_NaN() : result[1];
}

std::int64_t sum_over_ranks(const Communicator& comm, std::int64_t value) {
  return reduce<std::int64_t, 1>(comm, {value}, MPI_INT64_T, MPI_SUM)[0];
}

std::vector<std::string> gather_texts(const Communicator& comm, const std::string& text, int root) {
  constexpr std::size_t piece = std::size_t{8} << 20;
  std::vector<std::string> texts(comm.rank() == root ? static_cast<std::size_t>(comm.size()) : 0);
  gather_pieces(comm, std::as_bytes(std::span(text)), piece, root,
                [&texts](int rank, std::size_t, std::span<const std::byte> bytes) {
                  texts[static_cast<std::size_t>(rank)].append(
                      reinterpret_cast<const char*>(bytes.data()), bytes.size());
                });
  return texts;
}

}  // namespace dlscale
