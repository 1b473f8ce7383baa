// SPDX-License-Identifier: BSD-3-Clause
#include "places.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "comm/agreement.hpp"
#include "config/json_values.hpp"

namespace dlscale {
namespace {

using nlohmann::json;

std::string to_json(const RankFacts& f) {
  const HostFacts& h = f.host;
  json gpus = json::array();
  for (const GpuDevice& g : f.gpus)
    gpus.push_back({g.name, g.uuid, g.pci, g.memory_bytes, g.numa, g.numa_distance});
  return json{{"host", h.host},
              {"pid", h.pid},
              {"cpus", h.cpus},
              {"affinity_cores", h.affinity_cores},
              {"affinity_pus", h.affinity_pus},
              {"node_cores", h.node_cores},
              {"numa", h.numa},
              {"core_ids", h.core_ids},
              {"memory_available", h.memory_available_bytes},
              {"memory_total", h.memory_total_bytes},
              {"cpu_model", h.cpu_model},
              {"switch", h.network_switch},
              {"debug", h.debug_build},
              {"build_id", f.build_id},
              {"comparable", f.comparable},
              {"main_ns", f.start.main_ns},
              {"loading_s", number_to_json(f.start.loading_s)},
              {"mpi_init_s", f.start.mpi_init_s},
              {"node", f.node},
              {"local_rank", f.local_rank},
              {"gpus", gpus}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

RankFacts from_json(const std::string& text) {
  const json j = json::parse(text);
  RankFacts f;
  f.host.host = j.at("host");
  f.host.pid = j.at("pid");
  f.host.cpus = j.at("cpus");
  f.host.affinity_cores = j.at("affinity_cores");
  f.host.affinity_pus = j.at("affinity_pus");
  f.host.node_cores = j.at("node_cores");
  f.host.numa = j.at("numa");
  f.host.core_ids = j.at("core_ids").get<std::vector<int>>();
  f.host.memory_available_bytes = j.at("memory_available");
  f.host.memory_total_bytes = j.at("memory_total");
  f.host.cpu_model = j.at("cpu_model");
  f.host.network_switch = j.at("switch");
  f.host.debug_build = j.at("debug");
  f.build_id = j.at("build_id");
  f.comparable = j.at("comparable").get<std::vector<std::string>>();
  f.start.main_ns = j.at("main_ns");
  f.start.loading_s = number_from_json(j.at("loading_s"));
  f.start.mpi_init_s = j.at("mpi_init_s");
  f.node = j.at("node");
  f.local_rank = j.at("local_rank");
  for (const json& g : j.at("gpus"))
    f.gpus.push_back({g.at(0), g.at(1), g.at(2), g.at(3), g.at(4), g.at(5)});
  return f;
}

// Per GPU, for predictions: what those of today's clusters do at least.
void assume_gpu_rates(Layout& layout) {
  layout.assumed_flops_f64 = 30e12;
  layout.assumed_flops_f32 = 200e12;
  layout.assumed_bytes_per_s = 2e12;
}

// Ranks one does not have, on GPUs one does not have.
void assume_gpus(Layout& layout) {
  constexpr int gpus_per_node = 8;
  constexpr double gpu_memory_bytes = 80e9;
  const int ranks = static_cast<int>(layout.ranks.size());
  const int nodes = (ranks + gpus_per_node - 1) / gpus_per_node;
  for (int r = 0; r < ranks; ++r) {
    RankPlace& place = layout.ranks[static_cast<std::size_t>(r)];
    place.node = r / gpus_per_node;
    place.local_rank = r % gpus_per_node;
    place.host.clear();
  }
  layout.node_memory_bytes.assign(static_cast<std::size_t>(nodes), 0.0);
  for (const RankPlace& place : layout.ranks)
    layout.node_memory_bytes[static_cast<std::size_t>(place.node)] += gpu_memory_bytes;
  assume_gpu_rates(layout);
}

// A core shared by several ranks' masks counts for each of them in part.
int core_share(const RankFacts& rank, const std::map<std::pair<int, int>, int>& users) {
  double share = 0;
  for (const int core : rank.host.core_ids) share += 1.0 / users.at({rank.node, core});
  return std::max(1, static_cast<int>(share + 1e-9));
}

}  // namespace

const GpuDevice* gpu_of(const RankFacts& rank) {
  return rank.gpu < 0 ? nullptr : &rank.gpus.at(static_cast<std::size_t>(rank.gpu));
}

std::vector<RankFacts> gather_places(const MpiSession& session, const std::string& device) {
  RankFacts own;
  if (device == "cuda") own.gpus = probe_gpus().devices;
  own.host = read_host_facts();
  for (GpuDevice& gpu : own.gpus) {
    gpu.numa = numa_of_pci(gpu.pci);
    gpu.numa_distance = numa_distance(own.host.numa, gpu.numa);
  }
  own.build_id = executable_build_id();
  own.comparable = comparable_facts();
  own.start = start_times();
  own.start.mpi_init_s = session.init_seconds();
  own.node = session.node_index();
  own.local_rank = session.node().rank();
  std::vector<RankFacts> all;
  for (const std::string& text : gather_texts(session.world(), to_json(own)))
    if (!text.empty()) all.push_back(from_json(text));
  return all;
}

Layout make_layout(const std::vector<RankFacts>& ranks, const std::string& device) {
  Layout layout;
  layout.device = device;
  if (device == "cuda") assume_gpu_rates(layout);
  std::map<std::pair<int, int>, int> users;  // (node, core) → ranks whose mask holds it
  std::set<std::string> counted;             // GPUs, by UUID
  for (const RankFacts& rank : ranks)
    for (const int core : rank.host.core_ids) ++users[{rank.node, core}];
  for (const RankFacts& rank : ranks) {
    layout.ranks.push_back({.host = rank.host.host,
                            .node = rank.node,
                            .local_rank = rank.local_rank,
                            .numa = std::max(0, rank.host.numa),
                            .cores = core_share(rank, users)});
    const auto node = static_cast<std::size_t>(rank.node);
    if (layout.node_memory_bytes.size() <= node) layout.node_memory_bytes.resize(node + 1, 0.0);
    double& memory = layout.node_memory_bytes[node];
    // On GPUs what counts is their memory: a node has that of its ranks' GPUs.
    if (const GpuDevice* gpu = gpu_of(rank)) {
      if (counted.insert(gpu->uuid).second) memory += static_cast<double>(gpu->memory_bytes);
      continue;
    }
    const auto available = static_cast<double>(rank.host.memory_available_bytes);
    memory = memory == 0 ? available : std::min(memory, available);
  }
  return layout;
}

std::string layout_to_json(const Layout& layout) {
  json ranks = json::array();
  for (const RankPlace& p : layout.ranks)
    ranks.push_back({p.host, p.node, p.local_rank, p.numa, p.cores});
  return json{{"ranks", ranks}, {"memory", layout.node_memory_bytes}, {"device", layout.device}}.dump();
}

Layout layout_from_json(const std::string& text) {
  const json j = json::parse(text);
  Layout layout;
  layout.device = j.at("device");
  layout.node_memory_bytes = j.at("memory").get<std::vector<double>>();
  for (const json& p : j.at("ranks"))
    layout.ranks.push_back({p.at(0), p.at(1), p.at(2), p.at(3), p.at(4)});
  return layout;
}

std::vector<RankRow> rank_rows(const std::vector<RankFacts>& ranks, const Plan& plan) {
  int threads = 1;
  for (const Case& c : plan.cases) threads = std::max(threads, c.threads);
  std::vector<RankRow> rows;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const HostFacts& h = ranks[i].host;
    RankRow row;
    row.rank = static_cast<int>(i);
    row.host = h.host;
    row.local_rank = ranks[i].local_rank;
    row.pid = h.pid;
    row.cpus = h.cpus;
    row.threads = threads;
    row.numa = h.numa;
    const GpuDevice* gpu = gpu_of(ranks[i]);
    row.device = gpu == nullptr ? h.cpu_model : gpu->name;
    row.device_uuid = gpu == nullptr ? "" : gpu->uuid;
    row.memory_bytes = h.memory_available_bytes;
    row.network_switch = h.network_switch;
    rows.push_back(std::move(row));
  }
  return rows;
}

Layout assumed_layout_here(int ranks, const std::string& device) {
  const HostFacts here = read_host_facts();
  const int per_node = std::max(1, std::min(ranks, here.node_cores));
  Layout layout =
      assume_layout(ranks, per_node, here.node_cores, static_cast<double>(here.memory_available_bytes));
  layout.device = device;
  layout.assumed = true;
  if (device == "cuda") assume_gpus(layout);
  return layout;
}

}  // namespace dlscale
