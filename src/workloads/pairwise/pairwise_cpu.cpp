// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pairwise/pairwise_cpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "device/random.hpp"

namespace dlscale {
namespace {

constexpr std::size_t shift = 8;  // words: messages of all rounds begin on a cache line
constexpr std::uint64_t data_stream = 0x2000;
constexpr std::uint64_t unwritten = ~std::uint64_t{0};

std::uint64_t key_of(std::uint64_t seed, int sender) {
  return stream_key(seed, data_stream + static_cast<std::uint64_t>(sender));
}

}  // namespace

PairwiseCpu::PairwiseCpu(const WorkContext& context)
    : comm_(*context.participants),
      seed_(context.seed),
      bytes_(static_cast<int>(context.params.integer("bytes"))),
      words_((static_cast<std::size_t>(bytes_) + 7) / 8) {
  const auto table = pairwise_partners(comm_.size(), static_cast<int>(context.params.integer("rounds")),
                                       static_cast<std::uint64_t>(context.params.integer("seed")));
  for (const auto& round : table) {
    const int partner = round[static_cast<std::size_t>(comm_.rank())];
    partners_.push_back(partner < 0 ? MPI_PROC_NULL : partner);
  }
  round_ns_.resize(partners_.size());
}

void PairwiseCpu::prepare() {
  out_ = Buffer<std::uint64_t>(words_ + shift * partners_.size());
  in_ = Buffer<std::uint64_t>(words_ * partners_.size());
  const std::uint64_t key = key_of(seed_, comm_.rank());
  for (std::size_t i = 0; i < out_.size(); ++i) out_.data()[i] = bits_at(key, i);
  reset();
}

void PairwiseCpu::reset() {
  std::fill(in_.span().begin(), in_.span().end(), unwritten);
}

void PairwiseCpu::run() {
  std::int64_t before = now_ns();
  for (std::size_t k = 0; k < partners_.size(); ++k) {
    const int tag = static_cast<int>(k);
    DLSCALE_MPI(MPI_Sendrecv(out_.data() + shift * k, bytes_, MPI_BYTE, partners_[k], tag,
                             in_.data() + words_ * k, bytes_, MPI_BYTE, partners_[k], tag, comm_.get(),
                             MPI_STATUS_IGNORE));
    const std::int64_t after = now_ns();
    round_ns_[k] += after - before;
    before = after;
  }
}

void PairwiseCpu::take_layers(std::span<double> seconds) {
  for (std::size_t k = 0; k < seconds.size(); ++k) {
    seconds[k] = 1e-9 * static_cast<double>(round_ns_[k]);
    round_ns_[k] = 0;
  }
}

// Bytes of the last word that were not sent must be as they were.
std::size_t PairwiseCpu::wrong_words(std::size_t round) const {
  const bool idle = partners_[round] == MPI_PROC_NULL;
  const std::uint64_t key = idle ? 0 : key_of(seed_, partners_[round]);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < words_; ++i) {
    std::uint64_t expected = unwritten;
    const std::uint64_t sent = bits_at(key, shift * round + i);
    const std::size_t there = std::min<std::size_t>(8, static_cast<std::size_t>(bytes_) - 8 * i);
    if (!idle) std::memcpy(&expected, &sent, there);
    wrong += in_.data()[words_ * round + i] != expected ? 1 : 0;
  }
  return wrong;
}

Check PairwiseCpu::verify() {
  Check check{.error = 0,
              .tolerance = 0,
              .method = "what arrived last in each round bit for bit; error: wrong 8-byte words"};
  for (std::size_t k = 0; k < partners_.size(); ++k) {
    const std::size_t wrong = wrong_words(k);
    if (wrong > 0 && check.message.empty())
      check.message =
          sentence(fmt::format("{} of {} words of round {} are wrong", wrong, words_, k),
                   partners_[k] == MPI_PROC_NULL ? std::string("it had no partner")
                                                 : fmt::format("sent by participant {}", partners_[k]),
                   "distrust the MPI library, the memory or the network of these two");
    check.error += static_cast<double>(wrong);
  }
  return check;
}

std::string PairwiseCpu::results() const {
  return nlohmann::json{{"rounds", partners_.size()}, {"pairs_per_round", comm_.size() / 2}}.dump();
}

Entry pairwise_cpu_entry() {
  Entry entry;
  entry.name = "pairwise";
  entry.variant = "cpu";
  entry.description =
      "all pairs of random matchings exchange messages at once: finds slow links and nodes";
  entry.rate = RateKind::bus;
  entry.distributed = [](const Params&) { return true; };
  entry.unsuited = [](const Params&, int ranks) {
    return ranks < 2 ? sentence("pairs need at least 2 ranks, the case has 1", {}, "start more ranks")
                     : std::string();
  };
  entry.keys = pairwise_keys();
  entry.examples = pairwise_examples;
  entry.validate = [](const Params&) { return std::string(); };
  entry.cost = pairwise_cost;
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  entry.layers = pairwise_rounds;
  entry.partners = [](const Params& params, int ranks) {
    return pairwise_partners(ranks, static_cast<int>(params.integer("rounds")),
                             static_cast<std::uint64_t>(params.integer("seed")));
  };
  entry.make = [](const WorkContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<PairwiseCpu>(context);
  };
  return entry;
}

}  // namespace dlscale
