// SPDX-License-Identifier: BSD-3-Clause
// The pure half of pdgemm: keys, grid, scaling, examples, validation, cost.
#include "workloads/pdgemm/pdgemm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.hpp"

namespace dlscale {
namespace {

const std::vector<std::string> dtypes = {"f64", "f32"};

// The library's own 32 leaves local products too thin: half the rate of 256 on two ranks
// (docs/results/2026-11-26-scaling.md). Panels in memory grow with it.
constexpr std::int64_t best_logical_block = 256;

// As large as the logical block: then a panel lies in one block, and is packed in one piece.
constexpr std::int64_t usual_block = best_logical_block;

constexpr std::int64_t largest_side = std::numeric_limits<std::int32_t>::max();

// "PxQ"; nothing for "auto", {0, 0} for what is neither.
std::optional<ProcessGrid> written_grid(const std::string& text) {
  if (text == "auto") return std::nullopt;
  ProcessGrid grid{0, 0};
  const char* end = text.data() + text.size();
  const auto [x, first] = std::from_chars(text.data(), end, grid.rows);
  if (first != std::errc() || x == end || *x != 'x') return ProcessGrid{0, 0};
  const auto [rest, second] = std::from_chars(x + 1, end, grid.cols);
  if (second != std::errc() || rest != end || grid.rows < 1 || grid.cols < 1) return ProcessGrid{0, 0};
  return grid;
}

ProcessGrid grid_of(const Params& params, int ranks) {
  if (const auto grid = written_grid(params.text("grid"))) return *grid;
  return best_grid(params.integer("m"), params.integer("n"), ranks);
}

// Factor of m, n and k when the case is given for one rank.
double side_factor(const std::string& scaling, std::int64_t ranks) {
  if (scaling == "weak_memory") return std::sqrt(static_cast<double>(ranks));
  return scaling == "weak_work" ? std::cbrt(static_cast<double>(ranks)) : 1;
}

std::int64_t scaled(std::int64_t side, double factor) {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(side) * factor));
}

double element_bytes(const Params& params) {
  return params.text("dtype") == "f64" ? 8 : 4;
}

Params example(std::int64_t m, std::int64_t n, std::int64_t k, const std::string& dtype,
               const char* trans, double alpha, double beta, std::int64_t mb, std::int64_t nb,
               std::int64_t kb) {
  Params p;
  p.set("m", m);
  p.set("n", n);
  p.set("k", k);
  p.set("dtype", dtype);
  p.set("trans_a", std::string(1, trans[0]));
  p.set("trans_b", std::string(1, trans[1]));
  p.set("alpha", alpha);
  p.set("beta", beta);
  p.set("mb", mb);
  p.set("nb", nb);
  p.set("kb", kb);
  p.set("grid", std::string("auto"));
  p.set("logical_block", std::int64_t{0});
  p.set("engine", std::string("scalapack"));
  p.set("scaling", std::string("strong"));
  return p;
}

}  // namespace

Dealt PdgemmCase::rows_of(GemmOperand operand, int row) const {
  const bool by_k =
      operand == GemmOperand::a ? shape.trans_a : operand == GemmOperand::b && !shape.trans_b;
  if (by_k) return {shape.k, kb, grid.rows, row};
  if (operand == GemmOperand::b) return {shape.n, nb, grid.rows, row};
  return {shape.m, mb, grid.rows, row};
}

Dealt PdgemmCase::cols_of(GemmOperand operand, int col) const {
  const bool by_k =
      operand == GemmOperand::a ? !shape.trans_a : operand == GemmOperand::b && shape.trans_b;
  if (by_k) return {shape.k, kb, grid.cols, col};
  if (operand == GemmOperand::a) return {shape.m, mb, grid.cols, col};
  return {shape.n, nb, grid.cols, col};
}

ProcessGrid best_grid(std::int64_t m, std::int64_t n, int ranks) {
  ProcessGrid best{1, ranks};
  const auto volume = [&](const ProcessGrid& g) {
    return static_cast<double>(m) * (g.cols - 1) + static_cast<double>(n) * (g.rows - 1);
  };
  // From flat to tall: of two that send as much the flatter one is kept.
  for (int rows = 2; rows <= ranks; ++rows)
    if (const ProcessGrid grid{rows, ranks / rows}; ranks % rows == 0 && volume(grid) < volume(best))
      best = grid;
  return best;
}

double summa_elements(const GemmShape& s, const ProcessGrid& grid) {
  const auto m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  return m * k * (grid.cols - 1) + k * n * (grid.rows - 1);
}

PdgemmCase pdgemm_case(const Params& params, int ranks) {
  PdgemmCase c;
  c.shape = gemm_shape(params);
  c.grid = grid_of(params, ranks);
  const double factor = side_factor(params.text("scaling"), c.grid.size());
  c.shape.m = scaled(c.shape.m, factor);
  c.shape.n = scaled(c.shape.n, factor);
  c.shape.k = scaled(c.shape.k, factor);
  c.mb = params.integer("mb");
  c.nb = params.integer("nb");
  c.kb = params.integer("kb");
  c.logical_block = params.integer("logical_block");
  if (c.logical_block == block_by_rule) c.logical_block = best_logical_block;
  return c;
}

std::vector<Key> pdgemm_keys() {
  std::vector<Key> keys = gemm_keys(dtypes);
  for (Key& key : keys)
    if (key.name == "m" || key.name == "n" || key.name == "k") key.default_value = std::int64_t{4096};
  constexpr double largest_block = 1 << 20;
  for (const auto& [name, what] : {std::pair("mb", "m"), std::pair("nb", "n"), std::pair("kb", "k")})
    keys.push_back({name,
                    usual_block,
                    fmt::format("elements of dimension {} dealt out at a time", what),
                    1.0,
                    largest_block,
                    {}});
  keys.push_back(
      {"grid",
       std::string("auto"),
       "ranks as rows x columns, such as 2x4; auto = the factors of the ranks that send least",
       {},
       {},
       {}});
  keys.push_back(
      {"logical_block",
       std::int64_t{0},
       "columns of op(A) multiplied in one step; 0 = 256, the best found; -1 = the library's own",
       -1.0,
       largest_block,
       {}});
  keys.push_back({"engine", std::string("scalapack"), "library that multiplies", {}, {}, {"scalapack"}});
  keys.push_back(
      {"scaling",
       std::string("strong"),
       "strong: m, n, k as given; for one rank and each times sqrt(ranks): weak_memory, times "
       "cbrt(ranks): weak_work",
       {},
       {},
       {"strong", "weak_memory", "weak_work"}});
  return keys;
}

std::vector<Params> pdgemm_examples() {
  std::vector<Params> list;
  for (const std::string& dtype : dtypes)
    for (const char* trans : {"NN", "NT", "TN", "TT"}) {
      list.push_back(example(61, 37, 83, dtype, trans, 1, 0, 8, 7, 5));  // nothing divides anything
      list.push_back(example(5, 3, 257, dtype, trans, -0.5, 0.25, 2, 2, 16));  // k ≫ m, n
    }
  list.push_back(example(1, 1, 1, "f64", "NN", 1, 0, 128, 128, 128));     // most ranks have nothing
  list.push_back(example(300, 200, 3, "f64", "TN", 2, -1, 64, 32, 64));   // k ≪ m, n
  list.push_back(example(2, 300, 200, "f32", "NT", 1, 1, 128, 32, 128));  // rows for one rank only
  list.push_back(example(600, 500, 700, "f64", "NN", 1, 0, 64, 64, 64));  // several logical blocks
  Params more = example(96, 80, 112, "f64", "NN", 1, 0, 16, 16, 16);
  more.set("scaling", std::string("weak_memory"));
  more.set("logical_block", std::int64_t{-1});
  list.push_back(more);
  more.set("scaling", std::string("weak_work"));
  more.set("logical_block", std::int64_t{24});
  more.set("grid", std::string("1x1"));  // the other ranks wait
  list.push_back(more);
  return list;
}

std::string pdgemm_validate(const Params& params) {
  if (std::string problem = gemm_validate(params); !problem.empty()) return problem;
  const std::string& text = params.text("grid");
  if (const auto grid = written_grid(text); grid && grid->size() == 0)
    return sentence(fmt::format("grid can't be '{}'", text), "it is rows x columns of ranks, or auto",
                    "write it like 2x4");
  return {};
}

std::string pdgemm_unsuited(const Params& params, int ranks) {
  const PdgemmCase c = pdgemm_case(params, ranks);
  if (c.grid.size() > ranks)
    return sentence(fmt::format("grid {} needs {} ranks, the case has {}", params.text("grid"),
                                c.grid.size(), ranks),
                    {}, "start more ranks, or use grid=auto");
  const std::int64_t longest = std::max({c.shape.m, c.shape.n, c.shape.k});
  if (longest > largest_side)
    return sentence(fmt::format("m, n or k is {} on {} ranks", longest, ranks),
                    "the library takes 32-bit integers", "choose smaller sides");
  return {};
}

Cost pdgemm_cost(const Params& params, int ranks, int) {
  const PdgemmCase c = pdgemm_case(params, ranks);
  const GemmShape& s = c.shape;
  const double bytes = element_bytes(params);
  const auto m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  double held = 0;  // the rank at (0, 0) holds most
  for (const GemmOperand operand : {GemmOperand::a, GemmOperand::b, GemmOperand::c})
    held += static_cast<double>(c.rows_of(operand, 0).local()) *
            static_cast<double>(c.cols_of(operand, 0).local());
  // Panels of op(A) and op(B) of one logical block: as packed, as sent, as received. One rank has none.
  const double panel_k = std::min(k, static_cast<double>(std::max<std::int64_t>(32, c.logical_block)));
  const double panels = c.grid.size() == 1
                            ? 0
                            : 3 * panel_k *
                                  static_cast<double>(c.rows_of(GemmOperand::c, 0).local() +
                                                      c.cols_of(GemmOperand::c, 0).local());
  // Four columns of X, op(B)·X and the residual in the wider type, and MPI's copy of the longest.
  const double checking = 2 * 4 * (m + n + k + std::max(m, k));
  return {.flops = 2 * m * n * k,
          .bytes_touched = bytes * (m * k + k * n + (s.beta == 0 ? 1 : 2) * m * n),
          .bytes_sent = bytes * summa_elements(s, c.grid),
          .memory_bytes = bytes * (held + panels),
          .check_bytes = bytes * checking};
}

}  // namespace dlscale
