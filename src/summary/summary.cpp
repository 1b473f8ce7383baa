// SPDX-License-Identifier: BSD-3-Clause
#include "summary/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"
#include "summary/scale_lines.hpp"
#include "summary/scaling.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr std::size_t name_columns = 38;

// Columns, not bytes: continuation bytes of UTF-8 take none.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char ch) { return (ch & 0xC0) != 0x80; }));
}

// Wraps at blanks; continuation lines are indented under the text.
std::string wrapped(std::string_view label, const std::string& text) {
  constexpr std::size_t indent = 12, width = 80;
  std::string out = fmt::format("{:<{}}", label, indent);
  std::size_t column = indent;
  for (const std::string& word : split(text, ' ')) {
    if (word.empty()) continue;
    const std::size_t wide = columns(word);
    if (column + wide + 1 > width && column > indent) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += wide;
  }
  return out + '\n';
}

std::string percent(double share) {
  return std::isnan(share) ? "" : fmt::format("{:.1f} %", 100 * share);
}

// Rates of the median rank, with the interval of the reported time turned into ±.
std::string value_text(const Case& c, const CaseOutcome& o) {
  const double work = work_per_rank(c);
  const std::string value =
      work > 0 ? format_rate(c, work / o.seconds.median) : format_seconds(o.seconds.median);
  if (!o.seconds.valid) return value + fmt::format(" ({} blocks)", o.seconds.blocks);
  return value + fmt::format(" ±{:.1f}%", 100 * o.seconds.relative_half_width());
}

int slowest_rank(const CaseOutcome& o) {
  std::size_t worst = 0;
  for (std::size_t i = 1; i < o.rank_seconds.size(); ++i)
    if (o.rank_seconds[i] > o.rank_seconds[worst]) worst = i;
  return o.ranks.empty() ? -1 : o.ranks[worst];
}

std::string plural(std::size_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

// Sum over a node's ranks, for the nodes that took part.
std::map<int, double> node_rates(const RunSummary& run, const Case& c) {
  std::map<int, double> rates;
  const CaseOutcome& o = run.outcome(c);
  for (const int rank : o.ranks)
    rates[run.layout.ranks[static_cast<std::size_t>(rank)].node] += rank_rate(c, o, rank);
  return rates;
}

double rate_sum(const Case& c, const CaseOutcome& o) {
  double sum = 0;
  for (const int rank : o.ranks) sum += rank_rate(c, o, rank);
  return sum;
}

std::string roof_text(const RunSummary& run, const Case& c) {
  const RoofShare share = roof_share(c, run.plan.cases, run.outcomes);
  if (share.roof.empty()) return "";
  return fmt::format(", {} of {} (slowest rank {})", percent(share.median), share.roof,
                     percent(share.slowest));
}

std::string node_line(const RunSummary& run, const Case& c) {
  if (run.oversubscribed) {
    // Ranks that take turns on a core each look fast while they have it: a sum would count that core
    // several times.
    const CaseOutcome& o = run.outcome(c);
    return fmt::format("{}* per rank (oversubscribed: not summed over the node)", value_text(c, o));
  }
  const auto rates = node_rates(run, c);
  std::vector<double> values;
  int worst = -1;
  for (const auto& [node, rate] : rates) {
    values.push_back(rate);
    if (worst < 0 || rate < rates.at(worst)) worst = node;
  }
  std::string text = format_rate(c, median(values)) + " per node (median)";
  if (rates.size() > 1) {
    std::string host;
    for (const RankPlace& p : run.layout.ranks)
      if (p.node == worst) host = p.host;
    text += fmt::format(", slowest {} on {}", format_rate(c, rates.at(worst)), host);
  }
  return text + roof_text(run, c);
}

// Images per second of a rank, and of all together where they worked at the same time.
std::string images_line(const RunSummary& run, const Case& c) {
  const CaseOutcome& o = run.outcome(c);
  const std::string model = c.params.has("model") ? to_text(c.params.at("model")) + ": " : "";
  const std::string value = model + value_text(c, o) + (run.oversubscribed ? "*" : "");
  if (o.ranks.size() < 2) return value + roof_text(run, c);
  std::string text = value + " per rank (median)";
  if (run.oversubscribed)
    text += " (oversubscribed: not summed)";
  else if (c.occupancy == "together")
    text += fmt::format(", {} on {} ranks", format_rate(c, rate_sum(c, o)), o.ranks.size());
  return text + roof_text(run, c);
}

// The largest case of a workload and type, measured by all ranks at once where there is one.
std::vector<const Case*> headline_cases(const RunSummary& run, std::string_view workload) {
  std::map<std::string, const Case*> best;
  for (const Case& c : run.plan.cases) {
    // Ranks that work on one problem have lines of their own.
    if (c.workload != workload || !c.placement.empty() || !reportable(run.outcome(c))) continue;
    const Case*& at = best[c.dtype];
    const auto rank = [](const Case& x) { return std::pair(x.occupancy == "together", x.cost.flops); };
    if (at == nullptr || rank(c) > rank(*at)) at = &c;
  }
  std::vector<const Case*> list;
  for (const auto& [dtype, c] : best) list.push_back(c);
  return list;
}

std::string identifier(const std::string& text) {
  std::string out;
  for (const char ch : text) {
    const bool keep = std::isalnum(static_cast<unsigned char>(ch)) != 0 || ch == '.';
    if (keep)
      out += ch;
    else if (!out.empty() && out.back() != '_' && ch != '=')
      out += '_';
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

// [case id] The case's shortest command line as one word. Of cases with the same word (two series may
// share one) the later ones get _2, _3 …, whatever became of the first.
std::vector<std::string> fom_names(const Plan& plan) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const Case& c : plan.cases) {
    const std::string word = identifier(c.repro.empty() ? c.name() : c.repro);
    std::string name = word;
    for (int n = 2; !taken.insert(name).second; ++n) name = fmt::format("{}_{}", word, n);
    names.push_back(name);
  }
  return names;
}

}  // namespace

std::string case_line(const RunSummary& run, const Case& c) {
  const CaseOutcome& o = run.outcome(c);
  // A long name gets a line of its own: cut off, two cases could look alike.
  std::string name = c.name();
  if (columns(name) > name_columns) name += "\n";
  const std::size_t used = name.back() == '\n' ? 0 : columns(name);
  name += std::string(name_columns - used, ' ');
  std::string value, roof, slow;
  if (o.status == CaseStatus::completed && o.check_passed) {
    const RoofShare share = roof_share(c, run.plan.cases, run.outcomes);
    value = value_text(c, o) + (run.oversubscribed ? "*" : " ");
    roof = share.roof.empty() ? "" : percent(share.median);
    slow = o.ranks.size() > 1 ? fmt::format("r{}", slowest_rank(o)) : "";
  } else {
    value =
        o.status == CaseStatus::completed ? "WRONG RESULT " : fmt::format("{} ", to_string(o.status));
  }
  std::string line = fmt::format("{}{:>27}{:>8} {}", name, value, roof, slow);
  while (line.back() == ' ') line.pop_back();
  return line;
}

std::string render_table(const RunSummary& run) {
  std::string text =
      fmt::format("{:<{}}{:>27}{:>8} {}\n", "case", name_columns, "median rank ", "of roof", "slow");
  for (const Case& c : run.plan.cases) {
    text += case_line(run, c) + '\n';
    const CaseOutcome& o = run.outcome(c);
    if (!o.message.empty()) text += wrapped("", o.message);
    for (const MissedRequirement& missed : o.missed) text += wrapped("", missed.sentence);
  }
  return text;
}

std::string render_ten_lines(const RunSummary& run) {
  std::size_t completed = 0, failed = 0, skipped = 0, checked = 0, planned = 0;
  int most_threads = 1;
  for (const Case& c : run.plan.cases) {
    const CaseOutcome& o = run.outcome(c);
    completed += o.status == CaseStatus::completed && o.check_passed;
    failed += o.status == CaseStatus::failed || (o.status == CaseStatus::completed && !o.check_passed);
    skipped += o.status == CaseStatus::skipped;
    checked += o.check_passed;
    planned += o.status != CaseStatus::skipped;
    most_threads = std::max(most_threads, c.threads);
  }
  std::string text = wrapped(
      "verdict", fmt::format("{} · exit code {} · {} completed, {} failed, {} skipped · {}",
                             run.exit_code == 0 ? "PASS" : "FAIL", run.exit_code,
                             plural(completed, "case"), failed, skipped, format_seconds(run.elapsed_s)));
  text += wrapped(
      "ranks",
      fmt::format(
          "{} × {} per node × {} · {}{}", plural(static_cast<std::size_t>(run.layout.nodes()), "node"),
          plural(run.layout.ranks.size() / static_cast<std::size_t>(run.layout.nodes()), "rank"),
          plural(static_cast<std::size_t>(most_threads), "thread"), run.layout.device,
          run.oversubscribed ? " · OVERSUBSCRIBED: numbers marked * are not the machine's" : ""));
  for (const std::string& warning : run.warnings) text += wrapped("warning", warning);
  text += wrapped("checks", fmt::format("{} of {} cases passed their check", checked, planned));
  if (!std::isnan(run.harness_s))
    text += wrapped("harness", format_seconds(run.harness_s) +
                                   " per repetition beyond the clock's cost (no-op, slowest rank)");
  for (const Case* c : headline_cases(run, "gemm"))
    text += wrapped("GEMM " + c->dtype,
                    node_line(run, *c) + (c->occupancy == "together" ? "" : ", ranks " + c->occupancy));
  for (const Case* c : headline_cases(run, "triad"))
    text += wrapped("memory", node_line(run, *c) + ", triad");
  for (const char* workload : {"train", "infer"})
    for (const Case* c : headline_cases(run, workload))
      text +=
          wrapped(fmt::format("{} {}", workload, c->dtype),
                  images_line(run, *c) + (c->occupancy == "together" ? "" : ", ranks " + c->occupancy));
  for (const auto& [label, line] : scale_lines(run)) text += wrapped(label, line);
  if (const std::string lost = largest_losses(run); !lost.empty()) text += wrapped("losses", lost);
  const std::vector<std::string> slow = suspects(run);
  if (slow.empty() && run.layout.ranks.size() > 1) text += wrapped("look at", "no rank stands out");
  for (const std::string& line : slow) text += wrapped("look at", line);
  text += wrapped("file", run.file);
  return text;
}

std::string render_foms(const RunSummary& run) {
  const std::vector<std::string> names = fom_names(run.plan);
  std::string text;
  for (const Case& c : run.plan.cases) {
    if (!reportable(run.outcome(c))) continue;
    const CaseOutcome& o = run.outcome(c);
    const double work = work_per_rank(c);
    const std::string& name = names[static_cast<std::size_t>(c.id)];
    if (work > 0) {
      const bool images = rate_unit(c) == "images/s";
      const double scaled = images ? work : 1e-9 * work;
      const std::string unit = images ? "images/s" : fmt::format("G{}", rate_unit(c));
      text += fmt::format("FOM: {}_median = {:.6g} {}\n", name, scaled / o.seconds.median, unit);
      text += fmt::format("FOM: {}_slowest = {:.6g} {}\n", name,
                          scaled / std::max(o.seconds.median, percentile(o.rank_seconds, 1)), unit);
      if (images && c.occupancy == "together" && !run.oversubscribed)
        text += fmt::format("FOM: {}_sum = {:.6g} {}\n", name, rate_sum(c, o), unit);
    } else {
      text += fmt::format("FOM: {}_median = {:.6g} s\n", name, o.seconds.median);
    }
  }
  for (const ScalingPoint& point : scaling_points(run.plan, run.layout, run.outcomes))
    if (point.why.empty() && !run.oversubscribed)
      text += fmt::format("FOM: {}_efficiency = {:.6g} 1\n",
                          names[static_cast<std::size_t>(point.last->id)], point.efficiency.median);
  text += fmt::format("FOM: exit_code = {} 1\n", run.exit_code);
  return text;
}

}  // namespace dlscale
