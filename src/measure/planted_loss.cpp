// SPDX-License-Identifier: BSD-3-Clause
#include "measure/planted_loss.hpp"

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "comm/mpi_meter.hpp"
#include "measure/forwarding_workload.hpp"

namespace dlscale {
namespace {

struct Plant {
  std::string kind;
  std::int64_t ns = 0;
};

std::vector<Plant> plants_of(int rank, const std::string& role) {
  std::vector<Plant> plants;
  const char* text = std::getenv("DLSCALE_TEST_LOSS");
  if (text == nullptr) return plants;
  for (const std::string& one : split(text, ';')) {
    const std::vector<std::string> words = split(one, ':');
    if (words.size() != 4 || words[3] != role) continue;
    if (words[2] != "*" && words[2] != std::to_string(rank)) continue;
    plants.push_back({words[0], static_cast<std::int64_t>(1e9 * std::atof(words[1].c_str()))});
  }
  return plants;
}

/// Streams through more memory than any cache holds until it is destroyed.
class Neighbour {
 public:
  Neighbour() : thread_([this](const std::stop_token& stop) { stream(stop); }) {}

 private:
  void stream(const std::stop_token& stop) {
    std::vector<double> from(std::size_t{1} << 24, 1.0), to(from.size());
    while (!stop.stop_requested()) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = 0.5 * from[i];
      std::swap(from, to);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }
  std::jthread thread_;
};

class SlowerWorkload final : public ForwardingWorkload {
 public:
  SlowerWorkload(std::unique_ptr<Workload> workload, std::vector<Plant> plants)
      : ForwardingWorkload(std::move(workload)), plants_(std::move(plants)) {}
  void before_sample() override {
    before_ns_ = 0;
    ForwardingWorkload::before_sample();
  }
  void run() override {
    before_ns_ += work("before");
    {
      const MpiMeter meter;  // calls are delayed where they are metered
      plant_mpi_delay(planned("mpi"));
      ForwardingWorkload::run();
      plant_mpi_delay(0);
    }
    work("after");
  }
  void begin_block(std::int32_t block) override {
    for (const Plant& plant : plants_)
      if (plant.kind == "neighbour") neighbour_ = std::make_unique<Neighbour>();
    ForwardingWorkload::begin_block(block);
  }
  void end_block(std::int32_t block) override {
    neighbour_.reset();
    ForwardingWorkload::end_block(block);
  }
  // The workload counts from where it began; the sample began with what was planted before it.
  void take_buckets(std::span<double> seconds) override {
    ForwardingWorkload::take_buckets(seconds);
    for (double& s : seconds) s += 1e-9 * static_cast<double>(before_ns_);
  }

 private:
  std::int64_t planned(std::string_view kind) const {
    std::int64_t ns = 0;
    for (const Plant& plant : plants_)
      if (plant.kind == kind) ns += plant.ns;
    return ns;
  }
  std::int64_t work(std::string_view kind) const {
    const std::int64_t ns = planned(kind), begin = now_ns();
    while (now_ns() - begin < ns) continue;
    return ns > 0 ? now_ns() - begin : 0;
  }

  std::vector<Plant> plants_;
  std::unique_ptr<Neighbour> neighbour_;
  std::int64_t before_ns_ = 0;
};

}  // namespace

std::unique_ptr<Workload> with_planted_loss(std::unique_ptr<Workload> workload, int rank,
                                            const std::string& role) {
  std::vector<Plant> plants = plants_of(rank, role);
  if (plants.empty()) return workload;
  return std::make_unique<SlowerWorkload>(std::move(workload), std::move(plants));
}

}  // namespace dlscale
