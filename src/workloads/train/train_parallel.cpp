// SPDX-License-Identifier: BSD-3-Clause
// The pure half of train on several ranks: one network, each rank its part of every batch.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {

std::vector<Key> parallel_keys() {
  return {
      {"parallel",
       std::string("none"),
       "none = every rank trains a network by itself; data = all ranks train one, each on its part of "
       "every batch, and sum their gradients",
       {},
       {},
       {"none", "data"}},
      {"scaling",
       std::string("weak"),
       "with parallel = data, what is the same for any number of ranks: weak = batch, strong = "
       "global_batch",
       {},
       {},
       {"weak", "strong"}},
      {"global_batch",
       std::int64_t{0},
       "with scaling = strong, instead of batch: images per step of all ranks together",
       0.0,
       1e9,
       {}},
      {"bucket_bytes",
       std::int64_t{25} << 20,
       "gradients that are reduced together, in bytes; the first bucket has at most 1 MiB",
       4.0,
       1e12,
       {}},
      {"overlap",
       std::string("none"),
       "how gradients are reduced: none = after the backward pass; test = during it, MPI being asked to "
       "go on between layers; thread = during it by one more thread (MPI_THREAD_MULTIPLE for the whole "
       "launch)",
       {},
       {},
       {"none", "thread", "test"}},
      {"communicate",
       true,
       "false: the same steps without reducing anything, to tell what that costs",
       {},
       {},
       {}},
      {"check_replicas",
       std::int64_t{100},
       "steps after which all replicas are compared bit for bit, untimed; 0 = only at the end",
       0.0,
       1e9,
       {}},
  };
}

bool train_is_parallel(const Params& params) {
  return params.text("parallel") == "data";
}

bool train_communicates(const Params& params) {
  return train_is_parallel(params) && params.boolean("communicate");
}

Params train_of_one_rank(const Params& params, int ranks) {
  if (!train_is_parallel(params) || params.text("scaling") != "strong") return params;
  Params own = params;
  // Where it does not divide, train_unsuited() says so; the cost is then that of the largest part.
  own.set("batch", std::max<std::int64_t>(1, (params.integer("global_batch") + ranks - 1) / ranks));
  return own;
}

std::string parallel_problem(const Params& params) {
  const bool strong = params.text("scaling") == "strong";
  const std::int64_t global = params.integer("global_batch");
  if (!train_is_parallel(params)) {
    const char* key = strong ? "scaling = strong" : global > 0 ? "global_batch" : nullptr;
    if (key == nullptr) return {};
    return sentence(fmt::format("{} needs parallel = data", key), "every rank has a batch of its own",
                    fmt::format("set parallel = data, or leave {} out", strong ? "scaling" : key));
  }
  if (strong && global == 0)
    return sentence("scaling = strong needs global_batch", "it is what stays the same", "set it");
  if (!strong && global > 0)
    return sentence("global_batch needs scaling = strong",
                    "with scaling = weak batch stays the same, and global_batch grows with the ranks",
                    "set scaling = strong, or leave global_batch out");
  if (strong && params.boolean("layers"))
    return sentence("layers = true can't be used with scaling = strong",
                    "the work of a layer depends on the number of ranks", "use scaling = weak");
  return {};
}

std::string train_unsuited(const Params& params, int ranks) {
  if (!train_is_parallel(params)) return {};
  const std::int64_t global = params.integer("global_batch");
  if (params.text("scaling") == "strong" && global % ranks != 0)
    return sentence(fmt::format("global_batch = {} does not divide by {} ranks", global, ranks),
                    "all ranks must have the same number of images",
                    "choose a multiple of the ranks, or other ranks");
  const std::int64_t batch = train_of_one_rank(params, ranks).integer("batch");
  const std::int64_t all = batch * ranks, images = train_data(params).train_images;
  if (all > images)
    return sentence(
        fmt::format("a step of {} ranks takes {} images, train_images = {}", ranks, all, images),
        "an epoch would have no full step", "raise train_images, or choose a smaller batch");
  return {};
}

std::vector<double> train_buckets(const Params& params) {
  if (!train_communicates(params)) return {};
  return nn::bucket_sizes(network_graph(params), train_options(params, 1, 0));
}

Cost over_all_ranks(Cost cost, const Params& params, int ranks) {
  cost.flops *= ranks;
  cost.bytes_touched *= ranks;
  cost.items *= ranks;
  const std::vector<double> buckets = train_buckets(params);
  // Every rank sends and receives at least 2 (p − 1) / p of the bytes (Patarasuk, Yuan 2009,
  // doi 10.1016/j.jpdc.2008.09.002).
  cost.bytes_sent = 2.0 * (ranks - 1) * std::accumulate(buckets.begin(), buckets.end(), 0.0);
  return cost;
}

}  // namespace dlscale
