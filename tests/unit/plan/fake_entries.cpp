// SPDX-License-Identifier: BSD-3-Clause
#include "fake_entries.hpp"

namespace dlscale {
namespace {

constexpr double largest = 2147483647;

Entry entry_of(const std::string& name, std::vector<Key> keys) {
  Entry entry;
  entry.name = name;
  entry.variant = "cpu";
  entry.description = "fake " + name;
  entry.keys = std::move(keys);
  entry.validate = [](const Params&) { return std::string(); };
  entry.cost = [](const Params&, int, int) { return Cost{}; };
  entry.roofs = [](const Params&) { return std::vector<Roof>{}; };
  return entry;
}

Key dtype_key() {
  return {"dtype", std::string("f64"), "type of the elements", {}, {}, {"f64", "f32"}};
}

Entry gemm() {
  Entry entry = entry_of("gemm", {{"m", std::int64_t{1024}, "rows", 1, largest, {}},
                                  {"n", std::int64_t{1024}, "columns", 1, largest, {}},
                                  {"k", std::int64_t{1024}, "inner size", 1, largest, {}},
                                  dtype_key(),
                                  {"trans_a", std::string("N"), "op(A)", {}, {}, {"N", "T"}},
                                  {"alpha", 1.0, "factor", -1e6, 1e6, {}},
                                  {"pinned", false, "pinned memory", {}, {}, {}},
                                  {"note", std::string("none"), "any text", {}, {}, {}}});
  entry.validate = [](const Params& p) -> std::string {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(p.integer("m"), p.integer("n"), &product) ||
        __builtin_mul_overflow(product, p.integer("k"), &product))
      return sentence("m·n·k overflows", "it must fit into 63 bits", "choose smaller m, n or k");
    return {};
  };
  entry.cost = [](const Params& p, int, int) {
    const double m = p.number("m"), n = p.number("n"), k = p.number("k");
    const double bytes = p.text("dtype") == "f64" ? 8 : 4;
    return Cost{2 * m * n * k, bytes * (m * k + k * n + m * n), 0, bytes * (m * k + k * n + m * n)};
  };
  entry.roofs = [](const Params& p) {
    Roof fma{"fma", {}};
    fma.params.set("dtype", p.text("dtype"));
    return std::vector<Roof>{fma, {"triad", {}}};
  };
  return entry;
}

Entry fma() {
  Entry entry = entry_of("fma", {dtype_key()});
  entry.is_roof = true;
  entry.cost = [](const Params&, int, int threads) { return Cost{1e9 * threads, 0, 0, 4096}; };
  return entry;
}

Entry triad() {
  Entry entry =
      entry_of("triad", {{"bytes", std::int64_t{1 << 28}, "bytes of the arrays", 1, 1e12, {}}});
  entry.is_roof = true;
  entry.cost = [](const Params& p, int, int) {
    return Cost{0, p.number("bytes"), 0, p.number("bytes")};
  };
  return entry;
}

Entry big() {
  Entry entry = entry_of("big", {{"memory", std::int64_t{1}, "bytes per rank", 0, 1e18, {}},
                                 {"check", 0.0, "bytes of the check on top", 0, 1e18, {}},
                                 {"work", 0.0, "FLOP per repetition", 0, 1e30, {}},
                                 {"traffic", 0.0, "bytes per repetition", 0, 1e30, {}}});
  entry.cost = [](const Params& p, int, int) {
    return Cost{p.number("work"), p.number("traffic"), 0, p.number("memory"), p.number("check")};
  };
  return entry;
}

Entry spread() {
  Entry entry = entry_of("spread", {{"work", 1e9, "FLOP over all ranks", 0, 1e30, {}}});
  entry.distributed = [](const Params&) { return true; };
  entry.cost = [](const Params& p, int ranks, int) {
    return Cost{p.number("work"), 0, p.number("work") / 1000, 1e9 / ranks};
  };
  return entry;
}

}  // namespace

std::vector<Entry> fake_entries() {
  std::vector<Entry> entries = {
      big(),
      fma(),
      gemm(),
      entry_of("noop", {{"delay", 0.0, "seconds to wait", 0, 3600, {}},
                        {"delay_rank", std::int64_t{-1}, "rank that waits", -1, largest, {}}}),
      spread(),
      triad()};
  entries.push_back(entry_of("gpu_only", {{"m", std::int64_t{1}, "rows", 1, largest, {}}}));
  entries.back().variant = "cuda";
  return entries;
}

Layout small_layout() {
  return assume_layout(4, 2, 4, 8.0 * 1024 * 1024 * 1024);
}

Plan plan_of(const std::string& job, const Layout& layout, const std::vector<std::string>& only) {
  const std::vector<Entry> entries = fake_entries();
  return make_plan(parse_job(job, "job.toml", "."), layout, entries, only);
}

Plan plan_of(const std::string& job, const std::vector<std::string>& only) {
  return plan_of(job, small_layout(), only);
}

std::vector<Case> asked_of(const Plan& plan) {
  std::vector<Case> asked;
  for (const Case& c : plan.cases)
    if (c.order > 0) asked.push_back(c);
  return asked;
}

}  // namespace dlscale
