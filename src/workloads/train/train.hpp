// SPDX-License-Identifier: BSD-3-Clause
/// Training of a whole network: keys, work and epochs (pure), and its data.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/data/loader.hpp"
#include "workloads/network_case.hpp"

namespace dlscale {

/// What a case trains on.
struct TrainData {
  std::string source;  ///< "synthetic" | "random" | a folder
  std::int64_t train_images = 0, test_images = 0;
};
/// "auto" resolved: the synthetic set where its images fill the input reasonably, else random ones.
TrainData train_data(const Params& params);

/// Keys of training on several ranks.
std::vector<Key> parallel_keys();
bool train_is_parallel(const Params& params);
bool train_communicates(const Params& params);
/// With the `batch` that each of so many ranks has.
Params train_of_one_rank(const Params& params, int ranks);
std::string parallel_problem(const Params& params);  ///< a sentence naming the key, or empty
std::string train_unsuited(const Params& params, int ranks);
/// Bytes of the buckets that are reduced; empty where nothing is.
std::vector<double> train_buckets(const Params& params);
/// From one rank's work to that of all.
Cost over_all_ranks(Cost cost, const Params& params, int ranks);

std::vector<Key> train_keys();
std::vector<Params> train_examples();
std::string train_validate(const Params& params);
Cost train_cost(const Params& params, int ranks, int threads);
std::vector<Piece> train_layers(const Params& params);
std::int64_t train_block_samples(const Params& params, int ranks);
std::vector<Column> train_epochs();
nn::ExecutorOptions train_options(const Params& params, int threads, std::uint64_t seed);
nn::LoaderOptions train_loader_options(const Params& params, const nn::Shape& input, std::uint64_t seed,
                                       bool test);
/// Images per batch of the validation.
int train_test_batch(const Params& params);

/// The case's images, one copy per process for cases that use the same; nullptr for random ones.
std::shared_ptr<const nn::Dataset> open_train_data(const TrainData& data, std::int64_t classes,
                                                   std::uint64_t seed, int threads);

}  // namespace dlscale
