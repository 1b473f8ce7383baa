// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "base/error.hpp"
#include "device/random.hpp"
#include "nn/data/loader.hpp"

namespace dlscale::nn {
namespace {

/// Uniform on 0 … n − 1 for n < 2⁶³, from one 64-bit number: the high half of the product. Its bias is
/// below n / 2⁶⁴. (std::shuffle gives other orders with other libraries.)
std::uint64_t below(std::uint64_t bits, std::uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(bits) * n >> 64);
}

std::vector<std::int64_t> permutation(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  const std::uint64_t key = stream_key(mix64(seed ^ 0x0de2ULL), static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order.size(); i > 1; --i)  // Fisher and Yates
    std::swap(order[i - 1], order[below(mix64(key + i * 0x9e3779b97f4a7c15ULL), i)]);
  return order;
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch,
                                      bool shuffle, int shard, int shards) {
  if (count < 1 || shards < 1 || shard < 0 || shard >= shards)
    throw Error(ExitCode::bad_input,
                fmt::format("can't order {} images for shard {} of {}", count, shard, shards),
                "shards are numbered from 0, and an epoch has at least one image");
  const std::vector<std::int64_t> all =
      shuffle ? permutation(count, seed, epoch) : std::vector<std::int64_t>{};
  const std::int64_t mine = (count + shards - 1) / shards;
  std::vector<std::int64_t> order(static_cast<std::size_t>(mine));
  for (std::int64_t i = 0; i < mine; ++i) {
    const std::int64_t place = (i * shards + shard) % count;  // beyond the end: from the beginning again
    order[static_cast<std::size_t>(i)] = shuffle ? all[static_cast<std::size_t>(place)] : place;
  }
  return order;
}

}  // namespace dlscale::nn
