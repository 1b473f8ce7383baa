// SPDX-License-Identifier: BSD-3-Clause
/// The contract between a workload and the rest: the pure half (no MPI, no device) and the acting half.
/// A workload lives in one folder and exports one Entry per variant; CMake generates the registry.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/params.hpp"

namespace dlscale {

/// One key a workload reads: type by its default, bounds for numbers, choices for strings.
struct Key {
  std::string name;
  Scalar default_value;
  std::string help;                  ///< one line, with the unit
  std::optional<double> min, max;    ///< inclusive, for numbers
  std::vector<std::string> choices;  ///< for strings; empty = any
};

/// Work of one repetition: over all participants for distributed workloads, per rank otherwise.
struct Cost {
  double flops = 0;
  double bytes_touched = 0;  ///< compulsory memory traffic: every operand once
  double bytes_sent = 0;     ///< over the network, all participants; of collectives ranks × bus bytes
  double memory_bytes = 0;   ///< allocated per rank while the case is prepared
  double check_bytes = 0;    ///< what verify() allocates per rank on top, about
  double items = 0;          ///< images (or other items) per repetition, counted like flops
};

/// Result of verify(). `!(error <= tolerance)` fails, so NaN fails.
struct Check {
  double error = 0;
  double tolerance = 0;
  std::string method{};
  /// Why it failed ("problem (why) what to do") where neither wrong numbers nor hardware are the cause.
  std::string message{};
  bool passed() const { return error <= tolerance; }
  /// Error over tolerance; infinite for NaN, and for any error where none is tolerated.
  double ratio() const {
    if (error == 0) return 0;
    const double size = error / tolerance;
    return std::isnan(size) ? HUGE_VAL : size;
  }
};

class Communicator;

/// What a workload gets to act with. Collective workloads use `participants`; others ignore it.
struct WorkContext {
  Params params;
  int threads = 1;
  std::uint64_t seed = 0;
  int rank = 0;        ///< in the world
  int node = 0;        ///< index of the node, 0-based
  int local_rank = 0;  ///< on the node
  const Communicator* participants = nullptr;
};

/// Thrown by a distributed workload on every participant in the same call of run(), before_sample() or
/// end_block(): the case fails and the run goes on. Anything else a rank throws ends the run, since the
/// others may wait for it.
class FailedTogether final : public Error {
 public:
  using Error::Error;
};

/// The acting half. prepare, reset and verify are never timed; run and finish are exactly what is timed.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual void prepare() = 0;  ///< allocate and fill
  /// Called untimed before every batch of samples, so that repetitions which compound start afresh.
  virtual void reset() {}
  /// Called untimed before every sample, before the participants meet.
  virtual void before_sample() {}
  virtual void run() = 0;
  /// Timed, once after the repetitions of a sample: waits until the device has done what run() started.
  virtual void finish() {}
  /// Called untimed before and after every batch of samples, after reset(). `block` is −1 for pilot and
  /// warm-up; with Entry::block_samples a block is one whole unit (an epoch).
  virtual void begin_block(std::int32_t /*block*/) {}
  virtual void end_block(std::int32_t /*block*/) {}
  /// Seconds of each of Entry::parts since the last call; called untimed before the first sample and
  /// after each one. Disjoint stretches of the calling thread that sum to the sample.
  virtual void take_parts(std::span<double> /*seconds*/) {}
  /// Likewise for Entry::layers.
  virtual void take_layers(std::span<double> /*seconds*/) {}
  /// Likewise for Entry::buckets: [bucket][ready, enter, done], seconds since this rank began the first
  /// repetition of the sample; those of its last repetition.
  virtual void take_buckets(std::span<double> /*seconds*/) {}
  /// Values of Entry::epochs for the block that end_block() has just closed.
  virtual void take_epoch(std::span<double> /*values*/) {}
  /// Judges what the last run() left. Collective over participants for distributed workloads.
  virtual Check verify() = 0;
  /// The bytes that verify() will judge on this rank, for the fault tests, which damage them; empty:
  /// verify() judges by other means, or nothing here.
  virtual std::span<std::byte> last_result() { return {}; }
  /// Facts the workload itself finds out (kernel chosen, nodes of its grid, …), as a JSON object's text;
  /// may be empty.
  virtual std::string results() const { return {}; }
};

/// One roof this case is compared with: another case, of a roof workload, to be run in the same job.
struct Roof {
  std::string workload;
  Params params;
};

/// How a rate is made from a time and printed.
/// `bus`: bytes_sent per participant, so that collectives are compared with the hardware's bandwidth
/// whatever their operation and ranks.
enum class RateKind { time, flops, bytes, images, bus };

/// A named quantity of the record.
struct Column {
  std::string name, unit, description;
};

/// A timed piece inside a repetition ("conv1 forward"), with its work per repetition and rank.
struct Piece {
  std::string name;
  double flops = 0;
  double bytes = 0;  ///< operands once
};

/// One variant (workload on one kind of device).
struct Entry {
  std::string name;         ///< "gemm"
  std::string variant;      ///< "cpu" | "cuda"
  std::string description;  ///< one line for --list
  RateKind rate = RateKind::time;
  /// Whether all participants work on one problem; nullptr: never. Pure.
  bool (*distributed)(const Params&) = nullptr;
  /// Cases whose samples hold one repetition, however short; nullptr: none. Pure.
  bool (*single)(const Params&) = nullptr;
  bool is_roof = false;
  bool is_distributed(const Params& params) const {
    return distributed != nullptr && distributed(params);
  }
  std::vector<Key> keys;
  std::vector<std::string> parts;  ///< names; empty: a sample is not divided
  std::vector<Column> epochs;      ///< of a block that is an epoch (block_samples > 0)

  /// Small cases that must pass their check, awkward sizes included. Pure.
  std::vector<Params> (*examples)() = nullptr;
  /// Empty when the case makes sense, else a sentence naming the key. Called for all cases before any
  /// runs. Pure.
  std::string (*validate)(const Params&) = nullptr;
  /// Empty when so many ranks can work on a distributed case, else why not: the plan then skips it.
  /// nullptr: always. Pure.
  std::string (*unsuited)(const Params&, int ranks) = nullptr;
  /// Empty when this host can run the case, else why not ("bf16 needs …"): the plan then skips it.
  /// nullptr: always. Reads the processor and the library, measures nothing; asked on rank 0, never for
  /// a layout that is assumed.
  std::string (*unavailable)(const Params&) = nullptr;
  /// Pure. `ranks` = participants, `threads` per rank.
  Cost (*cost)(const Params&, int ranks, int threads) = nullptr;
  /// Roofs this case is compared with; empty for none. Pure.
  std::vector<Roof> (*roofs)(const Params&) = nullptr;
  std::unique_ptr<Workload> (*make)(const WorkContext&) = nullptr;
  /// The timed pieces inside a repetition, when the case asks for them; nullptr or empty: none. Pure.
  std::vector<Piece> (*layers)(const Params&) = nullptr;
  /// [round][participant]: whom each one works with in each round, −1 = with nobody; kept in the file.
  /// nullptr or empty: no rounds. Pure.
  std::vector<std::vector<int>> (*partners)(const Params&, int ranks) = nullptr;
  /// Bytes of each bucket of gradients that is reduced by itself, in order; nullptr or empty: none.
  /// Pure.
  std::vector<double> (*buckets)(const Params&) = nullptr;
  /// Samples of one block when it is a whole unit (an epoch: then one repetition per sample); nullptr or
  /// 0: the sampler's choice. Pure.
  std::int64_t (*block_samples)(const Params&, int ranks) = nullptr;
};

/// All entries of this build, in the order of their folders' names.
std::span<const Entry> registry();

/// The entry, or nullptr.
const Entry* find_entry(std::string_view name, std::string_view variant);

}  // namespace dlscale
