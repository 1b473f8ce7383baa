// SPDX-License-Identifier: BSD-3-Clause
#include "summary/tally.hpp"

#include <algorithm>
#include <cmath>

#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr std::string_view blocked_parts[] = {"reduce", "mpi"};

double sum(std::span<const double> values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

// From a rank's start to the last one's; never more than its own time, whatever the clocks say.
std::vector<double> arrival_waiting(std::span<const double> late, std::span<const double> own) {
  const double last = *std::max_element(late.begin(), late.end());
  std::vector<double> waited;
  for (std::size_t r = 0; r < late.size(); ++r) waited.push_back(std::min(last - late[r], own[r]));
  return waited;
}

}  // namespace

std::vector<double> bucket_waiting(std::span<const double> late, std::span<const double> buckets,
                                   std::span<const double> blocked) {
  const std::size_t ranks = late.size(), count = buckets.size() / 3 / std::max<std::size_t>(1, ranks);
  if (count == 0) return std::vector<double>(ranks, not_a_number);
  const auto time = [&](std::size_t r, std::size_t b, std::size_t which) {
    return buckets[3 * (r * count + b) + which];
  };
  std::vector<double> last_entered(count, -INFINITY);  // on the common clock
  for (std::size_t b = 0; b < count; ++b)
    for (std::size_t r = 0; r < ranks; ++r)
      last_entered[b] = std::fmax(last_entered[b], late[r] + time(r, b, 1));
  std::vector<double> waited(ranks, 0.0);
  for (std::size_t r = 0; r < ranks; ++r) {
    double end = -INFINITY, previous = -INFINITY;
    for (std::size_t b = 0; b < count; ++b) end = std::fmax(end, time(r, b, 2));
    for (std::size_t b = 0; b < count; ++b) {
      const double enter = time(r, b, 1), done = time(r, b, 2);
      const double first = std::max({enter, previous, end - blocked[r]});
      const double part = std::min(last_entered[b] - late[r], done) - first;
      if (std::isnan(enter) || std::isnan(done))
        waited[r] = not_a_number;
      else
        waited[r] += std::max(part, 0.0);
      previous = std::fmax(previous, done);
    }
    if (waited[r] > blocked[r]) waited[r] = blocked[r];
  }
  return waited;
}

Tally::Tally(const Case& c, std::vector<int> ranks) : ranks_(std::move(ranks)) {
  rank_sums_.resize(ranks_.size());
  rank_counts_.resize(ranks_.size());
  const Entry* entry = find_entry(c.workload, c.variant);
  if (entry == nullptr) return;
  distributed_ = entry->is_distributed(c.params);
  only_communication_ = distributed_ && entry->rate == RateKind::bus;
  part_names_ = entry->parts;
  part_sums_.resize(part_names_.size());
  if (entry->buckets) buckets_ = entry->buckets(c.params).size();
  if (entry->partners) partners_ = entry->partners(c.params, c.ranks);
  for (std::size_t i = 0; i < part_names_.size(); ++i)
    for (const std::string_view name : blocked_parts)
      if (distributed_ && part_names_[i] == name) blocked_part_ = static_cast<int>(i);
}

void Tally::observe(const BatchSamples& samples) {
  if (samples.batch.phase != Phase::measured) return;
  for (std::int32_t row = samples.batch.lead; row < samples.batch.rows(); ++row) {
    for (std::int32_t r = 0; r < samples.participants; ++r) {
      const double seconds = samples.seconds(row, r);
      if (std::isnan(seconds)) continue;
      rank_sums_[static_cast<std::size_t>(r)] += seconds;
      ++rank_counts_[static_cast<std::size_t>(r)];
    }
    if (distributed_) add_row(samples, row);
  }
  if (!partners_.empty()) add_pairs(samples);
}

void Tally::add_row(const BatchSamples& samples, std::int32_t row) {
  const std::size_t ranks = ranks_.size();
  std::vector<double> late(ranks), own(ranks), blocked(ranks, not_a_number);
  std::int64_t first = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    const std::size_t at = samples.at(row, static_cast<std::int32_t>(r));
    if (samples.start[at] < 0 || samples.stop[at] < samples.start[at]) return;
    const std::int64_t begun = samples.start[at] + (r < clocks_.size() ? clocks_[r].offset_ns : 0);
    if (r == 0 || begun < first) first = begun;
    late[r] = static_cast<double>(begun);
    own[r] = 1e-9 * static_cast<double>(samples.stop[at] - samples.start[at]);
  }
  double wall = 0, arrival = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    late[r] = 1e-9 * (late[r] - static_cast<double>(first));
    wall = std::max(wall, late[r] + own[r]);
    arrival = std::max(arrival, late[r]);
  }
  const auto repeats = static_cast<double>(samples.batch.repeats);
  const double each = 1 / repeats / static_cast<double>(ranks);
  const std::size_t parts = part_names_.size();
  if (const std::size_t from = samples.at(row, 0) * parts; from + ranks * parts <= samples.parts.size())
    for (std::size_t i = 0; i < ranks * parts; ++i) {
      part_sums_[i % parts] += each * samples.parts[from + i];
      if (static_cast<int>(i % parts) == blocked_part_) blocked[i / parts] = samples.parts[from + i];
    }
  std::vector<double> waiting(ranks, not_a_number);
  if (only_communication_) {
    blocked = own;
    waiting = arrival_waiting(late, own);
  } else if (const std::size_t width = 3 * buckets_, from = samples.at(row, 0) * width;
             buckets_ > 0 && samples.batch.repeats == 1 &&
             from + ranks * width <= samples.buckets.size()) {
    waiting = bucket_waiting(late, std::span(samples.buckets).subspan(from, ranks * width), blocked);
  }
  ++rows_;
  wall_ += wall / repeats;
  arrival_ += arrival / repeats;
  own_ += each * sum(own);
  blocked_ += each * sum(blocked);
  waiting_ += each * sum(waiting);
}

// Who comes first waits for the other: the smaller of the two times is the exchange itself.
void Tally::add_pairs(const BatchSamples& samples) {
  const std::size_t rounds = partners_.size(), ranks = ranks_.size();
  const auto repeats = static_cast<double>(samples.batch.repeats);
  for (std::size_t k = 0; k < rounds; ++k)
    for (std::size_t r = 0; r < ranks; ++r) {
      const int partner = partners_[k][r];
      if (partner < 0 || static_cast<std::size_t>(partner) < r) continue;
      std::vector<double> times;
      for (std::int32_t row = samples.batch.lead; row < samples.batch.rows(); ++row) {
        const std::size_t own = samples.at(row, static_cast<std::int32_t>(r)) * rounds + k,
                          other = samples.at(row, partner) * rounds + k;
        if (std::max(own, other) >= samples.layers.size()) continue;
        const double least = std::min(samples.layers[own], samples.layers[other]) / repeats;
        if (!std::isnan(least)) times.push_back(least);
      }
      const auto ends = std::minmax(ranks_[r], ranks_[static_cast<std::size_t>(partner)]);
      if (!times.empty()) pair_medians_[{ends.first, ends.second}].push_back(median(times));
    }
}

CaseMeans Tally::means() const {
  CaseMeans m;
  for (std::size_t r = 0; r < rank_sums_.size(); ++r)
    m.rank_own.push_back(rank_counts_[r] > 0 ? rank_sums_[r] / static_cast<double>(rank_counts_[r])
                                             : not_a_number);
  for (const auto& [ends, medians] : pair_medians_)
    m.pairs.push_back({ends.first, ends.second, median(medians)});
  if (rows_ == 0) return m;
  const auto count = static_cast<double>(rows_);
  m.wall = wall_ / count;
  m.own = own_ / count;
  m.blocked = blocked_ / count;
  m.waiting = waiting_ / count;
  m.arrival = arrival_ / count;
  for (std::size_t i = 0; i < part_names_.size(); ++i) m.parts[part_names_[i]] = part_sums_[i] / count;
  return m;
}

}  // namespace dlscale
