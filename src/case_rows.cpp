// SPDX-License-Identifier: BSD-3-Clause
// From the plan's words to the file's and the controller's.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "director.hpp"
#include "workloads/contract.hpp"

namespace dlscale {

CaseRow case_row(const Case& c, int file_id, int launch) {
  CaseRow r;
  r.id = file_id;
  r.launch = launch;
  r.order = c.order;
  r.series = c.series;
  r.role = c.role;
  r.workload = c.workload;
  r.variant = c.variant;
  r.device = c.device;
  r.dtype = c.dtype;
  r.occupancy = c.occupancy;
  r.placement = c.placement;
  r.ranks = c.ranks;
  r.threads = c.threads;
  nlohmann::json params = nlohmann::json::object();
  for (const auto& [key, value] : c.params.items())
    std::visit([&, k = key](const auto& v) { params[k] = v; }, value);
  if (!c.label.empty()) params["label"] = c.label;
  for (const char* choice : {"engine", "implementation"})
    if (c.params.has(choice)) r.engine = c.params.text(choice);
  r.params_json = params.dump();
  r.flops = c.cost.flops;
  r.bytes_touched = c.cost.bytes_touched;
  r.bytes_sent = c.cost.bytes_sent;
  r.memory_bytes = c.cost.memory_bytes;
  r.items = c.cost.items;
  r.status = to_string(c.status);
  r.message = c.message;
  r.repro = c.repro;
  return r;
}

CaseLayout case_layout(const Case& c, const Layout& layout, const std::vector<Probe>& probes,
                       int file_id, int launch) {
  CaseLayout out;
  out.row = case_row(c, file_id, launch);
  for (const auto& turn : turns(c.team(), layout))
    out.ranks.insert(out.ranks.end(), turn.begin(), turn.end());
  std::sort(out.ranks.begin(), out.ranks.end());
  for (const Probe& p : probes) out.probes.push_back({p.name, p.unit, p.description});
  const Entry* entry = find_entry(c.workload, c.variant);
  if (entry == nullptr) return out;
  out.part_names = entry->parts;
  if (entry->layers)
    for (const Piece& p : entry->layers(c.params)) out.layers.push_back({p.name, p.flops, p.bytes});
  if (entry->buckets) out.bucket_bytes = entry->buckets(c.params);
  if (c.block_samples > 0)
    for (const Column& k : entry->epochs) out.epochs.push_back({k.name, k.unit, k.description});
  if (entry->partners && c.status != CaseStatus::skipped) {
    out.partners = entry->partners(c.params, static_cast<int>(out.ranks.size()));
    // Participants are numbered in the order of their world ranks.
    for (std::vector<int>& round : out.partners)
      for (int& partner : round)
        if (partner >= 0) partner = out.ranks[static_cast<std::size_t>(partner)];
  }
  return out;
}

SampleRows sample_rows(const BatchSamples& samples) {
  const Batch& batch = samples.batch;
  const auto count = static_cast<std::size_t>(batch.rows());
  SampleRows rows;
  rows.samples = batch.rows();
  rows.start = samples.start;
  rows.stop = samples.stop;
  rows.probes = samples.probes;
  rows.parts = samples.parts;
  rows.layers = samples.layers;
  rows.buckets = samples.buckets;
  rows.epochs = samples.epoch.empty() ? 0 : 1;
  rows.epoch_values = samples.epoch;
  rows.block.assign(count, batch.block);
  rows.repeats.assign(count, static_cast<std::int32_t>(batch.repeats));
  for (std::int32_t i = 0; i < batch.rows(); ++i)
    for (std::int32_t p = 0; p < samples.participants; ++p)
      rows.phase.push_back(static_cast<std::uint8_t>(
          samples.start[samples.at(i, p)] < 0 ? Phase::absent : samples.phase_of(i)));
  return rows;
}

ControllerSettings controller_settings(const Case& c, const Layout& layout, const ClockFacts& clock) {
  ControllerSettings settings;
  const auto turn_list = turns(c.team(), layout);
  for (const auto& turn : turn_list) settings.participants += static_cast<int>(turn.size());
  settings.participants -= 1;  // the default is one
  settings.turns = std::max(1, static_cast<int>(turn_list.size()));
  settings.blocks = static_cast<int>(c.sampling.blocks);
  settings.interval = c.sampling.interval;
  settings.confidence = c.sampling.confidence;
  settings.warmup_s = c.sampling.warmup_s;
  settings.min_time_s = c.sampling.min_time_s;
  settings.max_time_s = c.sampling.max_time_s;
  settings.budget_s = c.budget_s;
  settings.block_samples = static_cast<std::int32_t>(c.block_samples);
  settings.min_sample_s = std::max(50e-6, 1000 * clock.resolution_s);
  const Entry* entry = find_entry(c.workload, c.variant);
  settings.distributed = entry != nullptr && entry->is_distributed(c.params);
  settings.single = entry != nullptr && entry->single && entry->single(c.params);
  return settings;
}

}  // namespace dlscale
