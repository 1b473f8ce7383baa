// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/train/replicas_mpi.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.hpp"
#include "device/random.hpp"
#include "nn/tensor_hash.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale {
namespace {

std::uint64_t folded(std::span<const std::uint64_t> values) {
  std::uint64_t hash = mix64(values.size() + 1);
  for (const std::uint64_t value : values) hash = mix64(hash ^ value) + 0x9e3779b97f4a7c15ULL;
  return hash;
}

bool same_everywhere(const Communicator& comm, std::uint64_t value) {
  // The largest value is also the smallest: the largest complement tells.
  const std::array<std::uint64_t, 2> mine{value, ~value};
  std::array<std::uint64_t, 2> largest{};
  DLSCALE_MPI(MPI_Allreduce(mine.data(), largest.data(), 2, MPI_UINT64_T, MPI_MAX, comm.get()));
  return largest[0] == ~largest[1];
}

std::vector<std::uint64_t> gathered(const Communicator& comm, std::span<const std::uint64_t> values) {
  std::vector<std::uint64_t> all(values.size() * static_cast<std::size_t>(comm.size()));
  const int count = static_cast<int>(values.size());
  DLSCALE_MPI(
      MPI_Allgather(values.data(), count, MPI_UINT64_T, all.data(), count, MPI_UINT64_T, comm.get()));
  return all;
}

// The first rank whose value is not the most common one; −1 when all are the same.
int odd_one_out(std::span<const std::uint64_t> values) {
  std::unordered_map<std::uint64_t, int> times;
  for (const std::uint64_t value : values) ++times[value];
  std::uint64_t usual = values.front();
  for (const std::uint64_t value : values)
    if (times[value] > times[usual]) usual = value;
  const auto odd = std::find_if(values.begin(), values.end(), [&](auto v) { return v != usual; });
  return odd == values.end() ? -1 : static_cast<int>(odd - values.begin());
}

std::uint64_t hash_text(const std::string& text) {
  std::uint64_t hash = mix64(text.size());
  for (const char c : text) hash = mix64(hash ^ static_cast<unsigned char>(c));
  return hash;
}

void broadcast_floats(const Communicator& comm, std::span<float> values) {
  constexpr std::size_t most = std::size_t{1} << 28;  // of one call, whose count is an int
  for (std::size_t at = 0; at < values.size(); at += most)
    DLSCALE_MPI(MPI_Bcast(values.data() + at, static_cast<int>(std::min(most, values.size() - at)),
                          MPI_FLOAT, 0, comm.get()));
}

// Every value of a parameter is its own place in the canonical order: its bits tell the layout.
void number_values(const nn::Graph& graph, nn::Executor& executor) {
  constexpr std::size_t exact = std::size_t{1} << 24;  // of integers in a float
  for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
    std::vector<float> values(static_cast<std::size_t>(graph.parameters()[p].count()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % exact);
    executor.write_parameter(static_cast<int>(p), values);
  }
}

}  // namespace

std::optional<Difference> first_difference(const Communicator& comm,
                                           std::span<const std::uint64_t> values) {
  if (same_everywhere(comm, folded(values))) return {};
  const std::uint64_t own_count = values.size();
  const std::vector<std::uint64_t> counts = gathered(comm, std::span(&own_count, 1));
  if (const int odd = odd_one_out(counts); odd >= 0)
    return Difference{static_cast<std::size_t>(*std::min_element(counts.begin(), counts.end())), odd};
  const std::vector<std::uint64_t> all = gathered(comm, values);
  std::vector<std::uint64_t> one(counts.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t r = 0; r < one.size(); ++r) one[r] = all[r * values.size() + i];
    if (const int odd = odd_one_out(one); odd >= 0) return Difference{i, odd};
  }
  return {};  // not reached: what folds differently differs somewhere
}

std::vector<int> bucket_tensors(std::span<const nn::Bucket> buckets) {
  std::vector<int> tensors;
  for (const nn::Bucket& bucket : buckets)
    tensors.insert(tensors.end(), bucket.members.begin(), bucket.members.end());
  return tensors;
}

std::vector<std::uint64_t> hash_tensors(std::span<const nn::Bucket> buckets, Held held) {
  std::vector<std::uint64_t> hashes;
  for_each_tensor(buckets, held, [&](int, std::span<const float> values) {
    hashes.push_back(nn::hash_values(values));
  });
  return hashes;
}

void demand_same_network(const Communicator& comm, const nn::Graph& graph, nn::Executor& executor) {
  std::vector<std::uint64_t> facts;
  std::vector<std::string> names;
  for (const nn::Parameter& parameter : graph.parameters()) {
    names.push_back(parameter.name);
    facts.push_back(hash_text(
        fmt::format("{} {} {}", parameter.name, fmt::join(parameter.dims, "x"), parameter.trainable)));
  }
  const auto refuse = [&](const Difference& difference, const char* why, const char* remedy) {
    const std::string tensor =
        difference.index < names.size() ? names[difference.index] : "their number";
    throw Error(ExitCode::case_failed,
                fmt::format("the network of participant {} is not the others': {} differs",
                            difference.rank, tensor),
                why, remedy);
  };
  if (const auto difference = first_difference(comm, facts))
    refuse(*difference, "name, shape or number of parameters", "start the same program on all ranks");
  std::vector<std::uint64_t> places;
  together(comm, [&] {
    number_values(graph, executor);
    places = hash_tensors(executor.buckets(), Held::parameters);
  });
  names.clear();
  for (const int p : bucket_tensors(executor.buckets()))
    names.push_back(graph.parameters()[static_cast<std::size_t>(p)].name);
  if (const auto difference = first_difference(comm, places))
    refuse(*difference, "its library lays it out otherwise, as on another kind of processor",
           "use nodes of one kind");
  std::vector<std::uint64_t> counts;
  for (const nn::Bucket& bucket : executor.buckets())
    counts.push_back(static_cast<std::uint64_t>(bucket.count));
  names.assign(counts.size(), "the size of a bucket");
  if (const auto difference = first_difference(comm, counts))
    refuse(*difference, "gradients are reduced bucket by bucket", "give all ranks one bucket_bytes");
}

void broadcast_network(const Communicator& comm, const nn::Graph& graph, nn::Executor& executor) {
  for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
    std::vector<float> values;
    together(comm, [&] {
      values.resize(static_cast<std::size_t>(graph.parameters()[p].count()));
      executor.read_parameter(static_cast<int>(p), values);
    });
    broadcast_floats(comm, values);
    together(comm, [&] { executor.write_parameter(static_cast<int>(p), values); });
  }
  for (std::size_t id = 0; id < graph.layers().size(); ++id) {
    if (graph.layers()[id].op != nn::Op::batch_norm) continue;
    const auto channels = static_cast<std::size_t>(graph.layers()[id].out.channels);
    std::vector<float> mean, variance;
    together(comm, [&] {
      mean.resize(channels);
      variance.resize(channels);
      executor.read_statistics(static_cast<int>(id), mean, variance);
    });
    broadcast_floats(comm, mean);
    broadcast_floats(comm, variance);
    together(comm, [&] { executor.write_statistics(static_cast<int>(id), mean, variance); });
  }
}

}  // namespace dlscale
