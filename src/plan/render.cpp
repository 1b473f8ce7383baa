// SPDX-License-Identifier: BSD-3-Clause
// --plan and --list, in 80 columns.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.hpp"
#include "config/options.hpp"
#include "plan/planner.hpp"

namespace dlscale {
namespace {

constexpr std::size_t page = 80;

// Columns a UTF-8 text takes: every character of ours is one column wide.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// The first `columns` characters of a text, and what is left.
std::pair<std::string, std::string> cut(const std::string& text, std::size_t columns) {
  std::size_t at = 0, count = 0;
  while (at < text.size()) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (begins && count++ == columns) break;
    ++at;
  }
  return {text.substr(0, at), text.substr(at)};
}

// Lines of at most `columns`, broken at blanks; longer words are cut.
std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines = {""};
  for (std::string word : split(text, ' ')) {
    if (!lines.back().empty() && width_of(lines.back()) + 1 + width_of(word) > columns)
      lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    while (width_of(lines.back()) + width_of(word) > columns) {
      auto [head, tail] = cut(word, columns - width_of(lines.back()));
      lines.back() += head;
      lines.emplace_back();
      word = tail;
    }
    lines.back() += word;
  }
  return lines;
}

std::string paragraph(std::string_view text, std::size_t indent, std::string_view first = {}) {
  std::string result;
  for (const std::string& line : wrap(text, page - indent)) {
    const std::string_view head = result.empty() ? first : std::string_view();
    result +=
        fmt::format("{}{}{}\n", head, std::string(indent - std::min(indent, width_of(head)), ' '), line);
  }
  return result;
}

std::string padded(const std::string& text, std::size_t columns) {
  return text + std::string(columns - std::min(columns, width_of(text)), ' ');
}

std::string count_of(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string number(double value) {
  return value == 0 ? "-" : std::string(trim(format_si(value, "")));
}
std::string bytes(double value) {
  return value == 0 ? "-" : format_bytes(value);
}

std::string row(std::string_view id, const std::string& name, std::string_view flop,
                std::string_view touched, std::string_view memory, std::string_view time,
                std::string_view budget) {
  constexpr std::size_t name_columns = 27;
  const std::vector<std::string> lines = wrap(name, name_columns);
  std::string text = fmt::format("{:>5} {} {:>7} {:>8} {:>9} {:>8} {:>9}\n", id,
                                 padded(lines[0], name_columns), flop, touched, memory, time, budget);
  for (std::size_t i = 1; i < lines.size(); ++i) text += fmt::format("      {}\n", lines[i]);
  return text;
}

std::string case_row(const Case& c) {
  const std::string name = c.role.empty() ? c.name() : fmt::format("{} ({})", c.name(), c.role);
  const bool runs = c.status != CaseStatus::skipped;
  return row(std::to_string(c.id), name, number(c.cost.flops), bytes(c.cost.bytes_touched),
             bytes(c.cost.memory_bytes), format_seconds(c.predicted_s),
             runs ? format_seconds(c.budget_s) : "skipped");
}

std::string layout_text(const Layout& layout) {
  int least = layout.ranks.empty() ? 0 : layout.ranks.front().cores, most = least;
  for (const RankPlace& place : layout.ranks) {
    least = std::min(least, place.cores);
    most = std::max(most, place.cores);
  }
  double memory = layout.node_memory_bytes.empty() ? 0 : layout.node_memory_bytes.front();
  for (const double m : layout.node_memory_bytes) memory = std::min(memory, m);
  const std::string cores = least == most ? count_of(static_cast<std::size_t>(most), "core")
                                          : fmt::format("{} to {} cores", least, most);
  return fmt::format("{} on {}, {} per rank, {} per node, device {}",
                     count_of(layout.ranks.size(), "rank"),
                     count_of(layout.node_memory_bytes.size(), "node"), cores,
                     memory > 0 ? format_bytes(memory) : "unknown memory", layout.device);
}

std::string rates_text(const Layout& layout) {
  return fmt::format(
      "Times are predictions from assumed rates: {} (f64) and {} (other types) per core, {} per node.",
      format_si(layout.assumed_flops_f64, "FLOP/s"), format_si(layout.assumed_flops_f32, "FLOP/s"),
      format_si(layout.assumed_bytes_per_s, "B/s"));
}

std::string takes(const Key& key) {
  if (!key.choices.empty()) return fmt::format("{}", fmt::join(key.choices, ", "));
  std::string text(kind_name(key.default_value));
  if (key.min) text += fmt::format(" from {}", *key.min);
  if (key.max) text += fmt::format("{} to {}", key.min ? "" : " up", *key.max);
  return text;
}

// "  m            = 1024       integer from 1 …" and the help below.
std::string key_text(std::string_view name, const std::string& value, std::string_view what,
                     std::string_view help) {
  const std::string first = fmt::format("  {:<14} {:<10} ", name, value);
  return paragraph(what, std::max<std::size_t>(28, width_of(first)), first) + paragraph(help, 30);
}

std::string key_text(const Key& key) {
  const std::string value = to_text(key.default_value);
  return key_text(key.name, value.empty() ? std::string("\"\"") : value, takes(key), key.help);
}

/// Keys of another variant that `shown` lacks or that take something else there, and those it has no use
/// for.
std::string differences_text(const Entry& shown, const Entry& other) {
  const auto find = [](const Entry& entry, const std::string& name) {
    const auto at = std::find_if(entry.keys.begin(), entry.keys.end(),
                                 [&](const Key& key) { return key.name == name; });
    return at == entry.keys.end() ? nullptr : &*at;
  };
  std::string text;
  for (const Key& key : other.keys) {
    const Key* known = find(shown, key.name);
    if (known == nullptr || key_text(*known) != key_text(key)) text += key_text(key);
  }
  std::vector<std::string> unknown;
  for (const Key& key : shown.keys)
    if (find(other, key.name) == nullptr) unknown.push_back(key.name);
  if (!text.empty()) text = fmt::format("  with --device {}:\n", other.variant) + text;
  if (!unknown.empty())
    text += paragraph(fmt::format("{} (not with --device {})", fmt::join(unknown, ", "), other.variant),
                      4, "  ");
  return text;
}

std::string_view who_works(const Entry& entry) {
  if (entry.distributed == nullptr) return entry.is_roof ? "; a roof" : "";
  Params defaults;
  for (const Key& key : entry.keys) defaults.set(key.name, key.default_value);
  return entry.distributed(defaults) ? "; all participating ranks work on one problem"
                                     : "; if asked, all participating ranks work on one problem";
}

std::string workload_text(const Entry& entry, std::span<const Entry> entries) {
  std::vector<std::string> variants;
  for (const Entry& other : entries)
    if (other.name == entry.name) variants.push_back(other.variant);
  std::string text =
      paragraph(fmt::format("{} ({}){}", entry.description, fmt::join(variants, ", "), who_works(entry)),
                entry.name.size() + 2, entry.name + ": ");
  for (const Key& key : entry.keys) text += key_text(key);
  for (const Entry& other : entries)
    if (other.name == entry.name && other.variant != entry.variant)
      text += differences_text(entry, other);
  return text + "\n";
}

}  // namespace

std::string render_plan(const Plan& plan, const Layout& layout) {
  std::size_t skipped = 0;
  for (const Case& c : plan.cases) skipped += c.status == CaseStatus::skipped ? 1 : 0;
  std::string text = paragraph(
      fmt::format("{}{}: {}", count_of(plan.cases.size(), "case"),
                  skipped > 0 ? fmt::format(", {} of them skipped", skipped) : "", layout_text(layout)),
      6, "Plan: ");
  if (layout.assumed)
    text += paragraph("This layout is assumed: ranks packed on nodes like this one.", 0);
  text += paragraph(rates_text(layout), 0) + "\n";
  text += row("#", "case", "FLOP", "bytes", "memory", "time", "budget");
  text += row("", "", "", "touched", "per rank", "per rep.", "");
  for (const Case& c : plan.cases) text += case_row(c);
  text += '\n';
  text +=
      paragraph(fmt::format("Predicted least time (warm-up, blocks, preparing): {}. Time budget: {}.",
                            format_seconds(plan.predicted_s),
                            plan.budget_s > 0 ? format_seconds(plan.budget_s) : "no limit"),
                0);
  text += paragraph(
      "FLOP and bytes are per repetition: per rank, or over all ranks for distributed cases.", 0);
  for (const Case& c : plan.cases)
    if (c.status == CaseStatus::skipped)
      text += paragraph(fmt::format("{}: {}", c.name(), c.message), 9, fmt::format("skipped {} ", c.id));
  for (const std::string& warning : plan.warnings) text += paragraph(warning, 9, "warning: ");
  return text;
}

std::string render_workloads(std::span<const Entry> entries) {
  std::string text = "Workloads of this build, with their keys, defaults and what they take\n\n";
  std::vector<std::string> shown_names;
  for (const Entry& entry : entries) {
    if (std::find(shown_names.begin(), shown_names.end(), entry.name) != shown_names.end()) continue;
    shown_names.push_back(entry.name);
    text += workload_text(entry, entries);
  }
  text += "Keys of every case\n";
  for (const GeneralKey& key : general_keys())
    text += key_text(key.name,
                     key.name == "occupancy"                        ? "together"
                     : key.name == "threads" || key.name == "ranks" ? "0"
                                                                    : "-",
                     key.takes, key.help);
  text += key_text("zip", "-", "names of keys", "arrays that advance together instead of multiplying");
  text +=
      key_text("list", "-", "file name", "CSV whose header names keys; every row is one combination");
  std::string require;
  for (const Requirement& known : requirements())
    require += fmt::format("{}{} ({})", require.empty() ? "" : ", ", known.name, known.help);
  return text +
         key_text("require", "-", "table",
                  fmt::format("performance asked for; missed, the run exits with 3: {}", require));
}

}  // namespace dlscale
