// SPDX-License-Identifier: BSD-3-Clause
/// What will be done: Config × ranks → Plan, by pure arithmetic. No MPI, no device, no clock.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

/// One rank's place, as gathered from a running job or assumed for ranks one does not have.
struct RankPlace {
  std::string host;
  int node = 0;  ///< 0-based, in order of first appearance
  int local_rank = 0;
  int numa = 0;   ///< NUMA domain of the rank's cores
  int cores = 1;  ///< physical cores this rank may use: its share of its affinity mask
};

/// The machine as far as a plan needs it.
struct Layout {
  std::vector<RankPlace> ranks;
  std::vector<double> node_memory_bytes;  ///< available per node: min of MemAvailable and the cgroup's
                                          ///< rest; on GPUs that of its ranks' GPUs
  std::string device = "cpu";             ///< resolved: cpu | cuda
  /// Rates assumed for the time estimates before anything is measured, per core resp. per node.
  double assumed_flops_f64 = 16e9, assumed_flops_f32 = 32e9, assumed_bytes_per_s = 10e9;
  bool assumed = false;  ///< --plan --ranks N: not a running job
  int nodes() const { return static_cast<int>(node_memory_bytes.size()); }
};

/// A layout for `ranks` ranks packed on nodes like this one (cores and memory given).
Layout assume_layout(int ranks, int ranks_per_node, int cores_per_node, double node_memory_bytes);

/// Who takes part in a case.
struct Team {
  std::string occupancy = "together";  ///< "alone" | "together" | "<n>" ranks per node at once
  std::string placement;               ///< of distributed cases: "packed" | "spread"; "" otherwise
  int ranks = 0;                       ///< of distributed cases: participants; 0 = all
  auto operator<=>(const Team&) const = default;
};

enum class CaseStatus { planned, running, completed, failed, skipped };
std::string_view to_string(CaseStatus status);

/// One entry of the plan.
struct Case {
  int id = 0;  ///< index in the plan and in /cases
  int order =
      0;  ///< group in which it is measured; groups run one after the other, blocks inside one alternate
  std::string workload, variant, device, dtype, series, role, label;
  std::string occupancy;  ///< "alone" | "together" | "<n>" ranks per node at once
  std::string placement;  ///< of distributed cases: "packed" (node by node) | "spread" (node after node)
  int ranks = 0;          ///< participants
  int threads = 1;        ///< per rank, in effect
  Params params;          ///< all keys of the workload, defaults included
  Cost cost;
  std::int64_t block_samples =
      0;                     ///< of a block that is a whole unit (an epoch); 0: the sampler's choice
  SamplingOptions sampling;  ///< in effect for this case
  double predicted_s = 0;    ///< one repetition, from the assumed rates
  double budget_s =
      0;  ///< share of the run's budget, all turns together; a scale of its own without one
  std::map<std::string, double> require;
  CaseStatus status = CaseStatus::planned;
  std::string message;     ///< why skipped
  std::string repro;       ///< a valid --case text: only what differs from the defaults
  std::vector<int> roofs;  ///< ids of the cases this one is compared with

  /// "gemm m=4096 … f64 together ×1": for progress, tables and --only.
  std::string name() const;
  Team team() const { return {occupancy, placement, placement.empty() ? 0 : ranks}; }
};

/// Equal for cases that measure the same thing: workload, variant, keys, threads, occupancy, ranks.
std::string identity(const Case& c);

struct Plan {
  std::vector<Case> cases;  ///< noop first, then roofs, then what was asked
  double budget_s = 0;      ///< 0 = no limit
  double predicted_s = 0;   ///< measuring, warm-up and preparing, from the assumed rates
  std::vector<std::string> warnings;
};

/// Expands, validates and costs every case; throws Error(bad_input) on the first that makes no sense.
/// Cases that can't fit are in the plan as skipped, with the numbers.
Plan make_plan(const Config& config, const Layout& layout, std::span<const Entry> entries,
               const std::vector<std::string>& only = {});

/// World ranks that work at the same time, turn by turn: "together" is one turn of all, "alone" takes
/// turns over one rank per NUMA domain on every node at once, "<n>" is the first n ranks of each node at
/// once. Pure.
std::vector<std::vector<int>> turns(std::string_view occupancy, const Layout& layout);

/// The same of a team. Of a distributed case it is one turn of `ranks` ranks, ascending: the first ones
/// node by node (packed), or the first of every node, then the second … (spread). Pure.
std::vector<std::vector<int>> turns(const Team& team, const Layout& layout);

/// --plan: a table in 80 columns with cases, FLOP, bytes, memory per rank, predicted time, skipped ones
/// with numbers.
std::string render_plan(const Plan& plan, const Layout& layout);

/// --list: workloads with their keys, defaults and meaning.
std::string render_workloads(std::span<const Entry> entries);

/// For the broadcast from rank 0 and for --resume's comparison.
std::string plan_to_json(const Plan& plan);
Plan plan_from_json(const std::string& text);

}  // namespace dlscale
