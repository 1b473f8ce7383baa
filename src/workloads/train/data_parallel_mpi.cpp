// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/train/data_parallel_mpi.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "device/random.hpp"
#include "workloads/train/gradient_reducer_mpi.hpp"

namespace dlscale {
namespace {

constexpr std::uint64_t sign_stream = 0x7369676e73ULL;

std::vector<int> gather_ranks(const Communicator& comm, int own) {
  std::vector<int> all(static_cast<std::size_t>(comm.size()));
  DLSCALE_MPI(MPI_Allgather(&own, 1, MPI_INT, all.data(), 1, MPI_INT, comm.get()));
  return all;
}

const Communicator& participants_of(const WorkContext& context) {
  if (context.participants == nullptr || !*context.participants)
    throw Error(ExitCode::case_failed, "parallel = data needs the ranks that take part");
  return *context.participants;
}

}  // namespace

std::string overlap_unavailable(const Params& params) {
  if (params.text("parallel") != "data" || params.text("overlap") != "thread" ||
      !params.boolean("communicate") || mpi_thread_multiple())
    return {};
  return sentence("overlap = thread needs MPI_THREAD_MULTIPLE", "this launch's MPI does not give it",
                  "use an MPI with thread support, or overlap = test");
}

DataParallel::DataParallel(const WorkContext& context, const nn::Graph& graph, nn::Executor& executor)
    : context_(context),
      graph_(graph),
      executor_(executor),
      comm_(participants_of(context)),
      world_ranks_(gather_ranks(comm_, context.rank)),
      tensors_(bucket_tensors(executor.buckets())),
      plant_(planted(context.rank)) {}

void DataParallel::join(const MakeReducer& make) {
  demand_same_network(comm_, graph_, executor_);
  together(comm_, [&] { executor_.initialise(); });
  broadcast_network(comm_, graph_, executor_);
  if (make) {
    reducer_ = make(comm_, executor_);
    return;
  }
  Communicator own = comm_.duplicate();
  together(comm_, [&] {
    reducer_ = make_mpi_reducer(std::move(own), executor_.buckets(),
                                overlap_of(context_.params.text("overlap")));
  });
}

// DLSCALE_TEST_FLIP="rank:step:tensor", for tests only.
std::optional<DataParallel::Plant> DataParallel::planted(int rank) {
  const char* text = std::getenv("DLSCALE_TEST_FLIP");
  const std::vector<std::string> words = text == nullptr ? std::vector<std::string>() : split(text, ':');
  if (words.size() != 3 || words[0] != std::to_string(rank)) return {};
  return Plant{std::atoll(words[1].c_str()), words[2]};
}

void DataParallel::flip_planted(std::int64_t steps) {
  if (!plant_ || steps < plant_->step) return;
  for_each_tensor(executor_.buckets(), Held::parameters, [&](int tensor, std::span<float> values) {
    if (graph_.parameters()[static_cast<std::size_t>(tensor)].name == plant_->tensor)
      values[0] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(values[0]) ^ (1U << 16));
  });
  plant_.reset();
}

const std::string& DataParallel::tensor_name(std::size_t index) const {
  return graph_.parameters()[static_cast<std::size_t>(tensors_.at(index))].name;
}

// What is wrong, and in whose replica (a participant); empty when all are equal.
std::string DataParallel::divergence(std::int64_t steps, int* rank) {
  const std::int64_t begin = now_ns();
  const auto difference = first_difference(comm_, hash_tensors(executor_.buckets(), Held::parameters));
  check_s_ += seconds_since(begin);
  ++checks_;
  const std::int64_t equal_at = std::exchange(checked_at_, steps);
  if (!difference) return {};
  *rank = difference->rank;
  return sentence(
      fmt::format("replicas differ: {} of rank {} is not the others'", tensor_name(difference->index),
                  world_ranks_[static_cast<std::size_t>(difference->rank)]),
      fmt::format("after step {}; equal after step {}", steps, equal_at),
      "distrust that rank's memory, or its MPI");
}

void DataParallel::before_sample(std::int64_t steps) {
  const std::int64_t every = context_.params.integer("check_replicas");
  if (every > 0 && steps >= checked_at_ + every) {
    int rank = -1;
    if (const std::string problem = divergence(steps, &rank); !problem.empty())
      throw FailedTogether(ExitCode::case_failed, problem);
  }
  flip_planted(steps);
}

Check DataParallel::check_replicas(std::int64_t steps) {
  int rank = -1;
  const std::string problem = divergence(steps, &rank);
  Check check{.error = 0, .tolerance = 0, .method = "replicas bit for bit", .message = {}};
  if (rank != comm_.rank()) return check;
  check.error = 1;
  check.message = problem;
  return check;
}

// Of every tensor: Σ ± gradient with the same random signs on all ranks; then Σ gradient².
std::vector<double> DataParallel::projections(bool with_squares) const {
  std::vector<double> signed_sums, squares;
  for_each_tensor(executor_.buckets(), Held::gradients, [&](int tensor, std::span<const float> values) {
    const std::uint64_t key =
        stream_key(context_.seed, sign_stream + static_cast<std::uint64_t>(tensor));
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = values[i];
      sum += sign_at(key, i) * value;
      square += value * value;
    }
    signed_sums.push_back(sum);
    squares.push_back(square);
  });
  if (with_squares) signed_sums.insert(signed_sums.end(), squares.begin(), squares.end());
  return signed_sums;
}

// A sum of p values in f32 is off by (p − 1) u Σ|gᵣ| at most. With random signs the errors of a tensor
// add up like a random walk, of which 8 standard deviations are allowed; Σ(Σᵣ|gᵣ|)² ≤ p Σᵣ Σ gᵣ².
Check DataParallel::check_reduction(nn::GradientReducer& reducer) {
  std::vector<double> expected = projections(true);
  DLSCALE_MPI(MPI_Allreduce(MPI_IN_PLACE, expected.data(), static_cast<int>(expected.size()), MPI_DOUBLE,
                            MPI_SUM, comm_.get()));
  for (int b = 0; b < static_cast<int>(executor_.buckets().size()); ++b) reducer.start(b);
  reducer.finish();
  const std::vector<double> got = projections(false);
  const double p = comm_.size(), u = 0x1p-24;
  Check check{.error = 0, .tolerance = 1, .method = "", .message = {}};
  std::size_t worst = 0;
  for (std::size_t t = 0; t < got.size(); ++t) {
    const double least = 0x1p-149 * p;  // the smallest f32
    // The first term: the projections themselves, in float64.
    const double scale = std::sqrt(p * expected[got.size() + t]);
    const double allowed = (0x1p-40 + 8 * (p - 1) * u) * scale + least;
    const double error = std::fabs(got[t] - expected[t]) / allowed;
    if (!(error <= check.error) && !std::isnan(check.error)) {
      check.error = error;
      worst = t;
    }
  }
  check.method = fmt::format("sums of gradients against float64, worst: {}", tensor_name(worst));
  if (!check.passed())
    check.message =
        sentence(fmt::format("the reduced gradient of {} is wrong by {:.3g} tolerances",
                             tensor_name(worst), check.error),
                 "compared with a sum in float64", "distrust this MPI, or use another algorithm of it");
  const auto difference = first_difference(comm_, hash_tensors(executor_.buckets(), Held::gradients));
  if (!check.passed() || !difference || difference->rank != comm_.rank()) return check;
  check.error = 2;
  check.message =
      sentence(fmt::format("reduced gradients differ: {} of rank {} is not the others'",
                           tensor_name(difference->index),
                           world_ranks_[static_cast<std::size_t>(difference->rank)]),
               "this MPI's all-reduce gives ranks different bits", "choose another algorithm of it");
  return check;
}

void DataParallel::bucket_times(std::int64_t begin_ns, std::span<double> seconds) const {
  const std::span<const nn::BucketTimes> times = reducer_->times();
  const auto since = [&](std::int64_t at) { return 1e-9 * static_cast<double>(at - begin_ns); };
  for (std::size_t b = 0; b < times.size() && 3 * b + 2 < seconds.size(); ++b) {
    seconds[3 * b] = since(times[b].ready_ns);
    seconds[3 * b + 1] = since(times[b].enter_ns);
    seconds[3 * b + 2] = since(times[b].done_ns);
  }
}

std::string DataParallel::facts() const {
  double values = 0;
  for (const nn::Bucket& bucket : executor_.buckets()) values += static_cast<double>(bucket.count);
  nlohmann::json facts{{"replicas", comm_.size()},
                       {"buckets", executor_.buckets().size()},
                       {"reduced_bytes", sizeof(float) * values},
                       {"mpi_thread_multiple", mpi_thread_multiple()},
                       {"replica_checks", checks_}};
  if (checks_ > 0) facts["replica_check_s"] = check_s_ / static_cast<double>(checks_);
  return facts.dump();
}

}  // namespace dlscale
