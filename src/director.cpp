// SPDX-License-Identifier: BSD-3-Clause
#include "director.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "measure/rounds.hpp"
#include "summary/requirements.hpp"
#include "summary/scaling.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr std::size_t most_ranks_listed = 64;

// " (and 2 more ranks)" behind what one of `failures` ranks said.
std::string and_more(int failures) {
  if (failures < 2) return "";
  return fmt::format(" (and {} more rank{})", failures - 1, failures > 2 ? "s" : "");
}

}  // namespace

Director::Director(Stage stage) : s_(std::move(stage)) {
  for (const Case& c : s_.plan.cases) {
    controllers_.emplace_back(controller_settings(c, s_.layout, s_.clock));
    rows_.push_back(case_row(c, s_.first_case_id + c.id, s_.launch));
    CaseOutcome o;
    o.status = c.status;
    o.message = c.message;
    outcomes_.push_back(std::move(o));
    tallies_.emplace_back();
  }
}

// Who waits meanwhile is told by the watchdog what for.
void Director::save() {
  s_.worker.busy("writing the output");
  s_.file.flush();
  if (const std::string problem = s_.file.take_warning(); !problem.empty()) s_.progress.warn(problem);
  s_.worker.arrived();
}

void Director::command(Action action, int case_id, const Batch& batch, int exit_code) {
  Command c{action, case_id, batch, exit_code};
  s_.worker.wait_for_root(root_busy_s);
  broadcast_value(s_.session.world(), c);
  s_.worker.arrived();
}

std::vector<CaseOutcome> Director::run() {
  std::map<int, std::vector<int>> groups;
  double total_s = 0;
  for (const Case& c : s_.plan.cases)
    if (c.status == CaseStatus::planned) {
      groups[c.order].push_back(c.id);
      total_s += c.budget_s;
    }
  // Predictions may exceed the budget; group ends are then scaled into it.
  const double scale =
      s_.plan.budget_s > 0 && total_s > s_.plan.budget_s ? s_.plan.budget_s / total_s : 1;
  for (const Case& c : s_.plan.cases)
    if (c.status == CaseStatus::skipped && !c.require.empty()) judge_requirements(c.id);
  double end_s = elapsed_s();
  for (const auto& [group, ids] : groups) {
    for (const int id : ids) end_s += scale * plan_case(id).budget_s;
    measure_group(ids, group, end_s);
  }
  return outcomes_;
}

void Director::measure_group(const std::vector<int>& ids, int group, double group_end_s) {
  std::vector<int> alive;
  for (const int id : shuffled_round(ids, s_.seed, group, -1)) {
    if (!prepare(id)) continue;
    while (!controller(id).warm() && !controller(id).finished()) measure(id);
    if (!failed(id)) alive.push_back(id);
  }
  for (int round = 0;; ++round) {
    const auto order = shuffled_round(alive, s_.seed, group, round);
    const auto chosen = next_round(order, controllers_, elapsed_s(), s_.plan.budget_s, group_end_s);
    if (chosen.empty()) break;
    for (const int id : chosen) measure(id);
  }
  std::sort(alive.begin(), alive.end());
  for (const int id : alive)
    if (!failed(id)) finish(id);
}

bool Director::prepare(int id) {
  const Case& c = plan_case(id);
  s_.ending.current_case(s_.first_case_id + id);
  s_.progress.phase(fmt::format("preparing {}", c.name()));
  outcome(id).ranks = s_.worker.crews().of(c).columns;
  tally(id) = Tally(c, outcome(id).ranks);
  record_clocks(id, -1);
  command(Action::prepare, id);
  const Agreement agreed = s_.worker.prepare(c);
  if (!agreed.ok) {
    command(Action::release, id);
    s_.worker.release(c);
    fail(id, fmt::format("rank {}: {}{}", agreed.rank, agreed.message, and_more(agreed.failures)));
    return false;
  }
  outcome(id).status = CaseStatus::running;
  row(id).status = to_string(CaseStatus::running);
  s_.file.update_case(row(id));
  save();
  return true;
}

void Director::measure(int id) {
  const Case& c = plan_case(id);
  s_.ending.current_case(s_.first_case_id + id);
  const Batch batch = controller(id).next();
  command(Action::batch, id, batch);
  const BatchSamples samples = s_.worker.batch(c, batch);
  controller(id).observe(samples);
  tally(id).observe(samples);
  s_.worker.busy("writing the output");
  s_.file.append(s_.first_case_id + id, sample_rows(samples));
  update_row(id);
  save();
  if (!samples.failures.empty()) return abandon(id, samples.failures);
  s_.progress.batch(c, controller(id), done_, static_cast<int>(s_.plan.cases.size()));
}

// Some ranks could not go on; what all of them measured before is kept.
void Director::abandon(int id, const std::vector<RankFailure>& failures) {
  const Case& c = plan_case(id);
  controller(id).stop("failed");
  command(Action::release, id);
  s_.worker.release(c);
  record_clocks(id, controller(id).blocks_done());
  update_row(id);
  row(id).stop_reason = "failed";
  const RankFailure& first = failures.front();
  fail(id, fmt::format("rank {}: {} on {}{}", first.rank, first.message,
                       s_.layout.ranks[static_cast<std::size_t>(first.rank)].host,
                       and_more(static_cast<int>(failures.size()))));
}

void Director::update_row(int id) {
  const CaseController& k = controller(id);
  CaseRow& r = row(id);
  const Interval reported = k.reported();
  r.blocks = k.blocks_done();
  r.samples = k.state().measured;
  r.warmup = k.state().warm_up;
  r.repeats = k.state().repeats;
  r.mode = k.state().repeats > 1 ? "batched" : "isolated";
  r.median_s = reported.median;
  r.low_s = reported.valid ? reported.low : not_a_number;
  r.high_s = reported.valid ? reported.high : not_a_number;
  r.stop_reason = k.stop_reason();
  s_.file.update_case(r);
}

void Director::finish(int id) {
  const Case& c = plan_case(id);
  CaseOutcome& o = outcome(id);
  const CaseController& k = controller(id);
  s_.ending.current_case(s_.first_case_id + id);
  command(Action::verify, id);
  CaseCheck check;
  const Agreement agreed = s_.worker.verify(c, check);
  command(Action::release, id);
  s_.worker.release(c);
  record_clocks(id, k.blocks_done());
  if (!agreed.ok) return fail(id, fmt::format("rank {}: {}", agreed.rank, agreed.message));

  o.stop_reason = k.stop_reason();
  o.seconds = k.reported();
  o.steady = k.steady();
  o.batched = k.state().repeats > 1;
  o.means = tally(id).means();
  for (const auto& blocks : k.state().block_medians) {
    const Interval own = block_interval(blocks, k.settings().confidence);
    o.rank_seconds.push_back(own.median);
    o.rank_low.push_back(own.low);
  }
  const std::vector<int> unconverged = k.unconverged();
  o.unconverged = static_cast<int>(unconverged.size());
  o.check_passed = check.worst_rank >= 0 && check.failures == 0;

  nlohmann::json facts =
      check.results.empty() ? nlohmann::json::object() : nlohmann::json::parse(check.results);
  nlohmann::json roofs = nlohmann::json::array(), ranks = nlohmann::json::array();
  for (const int roof : c.roofs) roofs.push_back(s_.first_case_id + roof);
  for (std::size_t i = 0; i < std::min(most_ranks_listed, unconverged.size()); ++i)
    ranks.push_back(o.ranks[static_cast<std::size_t>(unconverged[i])]);
  facts["roofs"] = roofs;
  facts["warm_up"] = k.steady() ? "steady" : "unsteady";
  if (k.settings().distributed && !std::isnan(k.start_skew_s()))
    facts.update({{"start_skew_s", k.start_skew_s()}, {"clock_error_s", k.clock_error_s()}});
  facts["unconverged"] = unconverged.size();
  facts["unconverged_ranks"] = ranks;
  if (!std::isnan(check.memory_peak_bytes)) {
    facts["memory_peak_bytes"] = static_cast<std::int64_t>(check.memory_peak_bytes);
    facts["memory_peak_rank"] = check.memory_peak_rank;
  }

  CaseRow& r = row(id);
  update_row(id);
  r.check_error = check.worst.error;
  r.check_tolerance = check.worst.tolerance;
  r.check_passed = o.check_passed ? 1 : 0;
  r.results_json = facts.dump();
  if (!o.check_passed) return fail(id, check_failure(check, o.ranks.size()));
  o.status = CaseStatus::completed;
  r.status = to_string(CaseStatus::completed);
  judge_requirements(id);
  save();
  ++done_;
  s_.progress.note(fmt::format(
      "[{}/{}] {}: {}{} ({} samples in {} blocks, {})", done_, s_.plan.cases.size(), c.name(),
      format_seconds(o.seconds.median),
      o.seconds.valid ? fmt::format(" ±{:.1f} %", 100 * o.seconds.relative_half_width()) : "",
      k.state().measured, k.blocks_done(), k.stop_reason()));
}

std::string Director::check_failure(const CaseCheck& check, std::size_t participants) const {
  const std::string& host =
      s_.layout.ranks[static_cast<std::size_t>(std::max(0, check.worst_rank))].host;
  if (!check.message.empty())
    return fmt::format("rank {}: {} on {}{}", check.worst_rank, check.message, host,
                       and_more(check.failures));
  return fmt::format(
      "wrong result on {} of {} ranks (worst: rank {} on {}, error {:.3g} against a tolerance of "
      "{:.3g}) "
      "distrust this rank's hardware or its BLAS",
      check.failures, participants, check.worst_rank, host, check.worst.error, check.worst.tolerance);
}

void Director::fail(int id, const std::string& message) {
  CaseOutcome& o = outcome(id);
  o.status = CaseStatus::failed;
  o.message = message;
  CaseRow& r = row(id);
  r.status = to_string(CaseStatus::failed);
  r.message = message;
  s_.file.update_case(r);
  save();
  ++done_;
  s_.progress.note(fmt::format("FAILED {}: {}", plan_case(id).name(), message));
}

void Director::record_clocks(int id, int block) {
  command(Action::clocks, id);
  const std::vector<ClockOffset> offsets = s_.worker.clocks();
  std::vector<ClockRow> rows;
  for (const ClockOffset& o : offsets) {
    // Files hold ns since launch: the nodes' epochs are taken out of the offset.
    const std::int64_t root = s_.node_epochs.empty() ? 0 : s_.node_epochs.front();
    const auto node = static_cast<std::size_t>(o.node);
    const std::int64_t own = node < s_.node_epochs.size() ? s_.node_epochs[node] : 0;
    rows.push_back({.launch = s_.launch,
                    .case_id = s_.first_case_id + id,
                    .block = block,
                    .node = o.node,
                    .offset_ns = o.offset_ns - root + own,
                    .min_rtt_ns = o.min_rtt_ns,
                    .error_ns = o.error_ns,
                    .at_ns = o.at_ns - root});
  }
  s_.file.append_clocks(rows);
  std::vector<ClockShift> clocks;
  for (const int rank : s_.worker.crews().of(plan_case(id)).columns) {
    const int node = s_.layout.ranks[static_cast<std::size_t>(rank)].node;  // rows are in their order
    clocks.push_back({rows.at(static_cast<std::size_t>(node)).offset_ns,
                      rows.at(static_cast<std::size_t>(node)).error_ns});
  }
  tally(id).set_clocks(clocks);
  controller(id).set_clocks(std::move(clocks));
}

void Director::judge_requirements(int id) {
  judge(id);
  for (const Case* c : curve_of(plan_case(id), s_.plan, outcomes_))  // this one may be their baseline
    if (c->id != id && depends_on_others(*c)) judge(c->id);
}

void Director::judge(int id) {
  CaseOutcome& o = outcome(id);
  CaseRow& r = row(id);
  o.missed = missed_requirements(plan_case(id), s_.plan, s_.layout, outcomes_, s_.launch > 0);
  r.message = o.message;  // of a skipped case why; what an earlier judgement added goes
  for (const MissedRequirement& missed : o.missed)
    r.message += (r.message.empty() ? "" : "; ") + missed.sentence;
  r.results_json = with_missed(r.results_json, o.missed);
  s_.file.update_case(r);
}

std::vector<std::int64_t> Director::repeats() const {
  std::vector<std::int64_t> list;
  for (const CaseController& c : controllers_) list.push_back(c.state().repeats);
  return list;
}

void Director::end(int exit_code) {
  command(Action::end, -1, {}, exit_code);
}

}  // namespace dlscale
