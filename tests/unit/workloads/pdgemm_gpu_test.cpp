// SPDX-License-Identifier: BSD-3-Clause
// The pure half of pdgemm on GPUs: the panels, by the product that plain loops make of them, and
// refusals.
#include <algorithm>
#include <cmath>
#include <vector>

#include "dlscale_catch.hpp"
#include "workloads/pdgemm/pdgemm_gpu.hpp"

using namespace dlscale;

namespace {

PdgemmCase case_of(std::int64_t m, std::int64_t n, std::int64_t k, ProcessGrid grid, std::int64_t mb,
                   std::int64_t nb, std::int64_t kb) {
  PdgemmCase c;
  c.shape = {.m = m, .n = n, .k = k};
  c.grid = grid;
  c.mb = mb;
  c.nb = nb;
  c.kb = kb;
  return c;
}

double a_at(std::int64_t i, std::int64_t l) {
  return static_cast<double>((3 * i + 7 * l) % 11 - 5);
}
double b_at(std::int64_t l, std::int64_t j) {
  return static_cast<double>((5 * l + 2 * j) % 13 - 6);
}

// What one place of the grid holds, column-major.
template <class At>
std::vector<double> held(const Dealt& rows, const Dealt& cols, At at) {
  std::vector<double> values;
  for (const std::int64_t col : cols.globals())
    for (const std::int64_t row : rows.globals()) values.push_back(at(row, col));
  return values;
}

// As pdgemm_cuda.cpp goes about it, with the holder's memory in place of a broadcast.
double largest_error(const PdgemmCase& c, std::int64_t widest) {
  double worst = 0;
  for (int row = 0; row < c.grid.rows; ++row)
    for (int col = 0; col < c.grid.cols; ++col) {
      const Dealt c_rows = c.rows_of(GemmOperand::c, row), c_cols = c.cols_of(GemmOperand::c, col);
      const auto height = static_cast<std::size_t>(c_rows.local()),
                 width = static_cast<std::size_t>(c_cols.local());
      std::vector<double> sum(height * width);
      for (const Panel& p : pdgemm_panels(c, widest)) {
        const auto a = held(c.rows_of(GemmOperand::a, row), c.cols_of(GemmOperand::a, p.a_at), a_at);
        const Dealt b_rows = c.rows_of(GemmOperand::b, p.b_at);
        const auto b = held(b_rows, c.cols_of(GemmOperand::b, col), b_at);
        for (std::size_t j = 0; j < width; ++j)
          for (std::int64_t l = 0; l < p.width; ++l)
            for (std::size_t i = 0; i < height; ++i)
              sum[i + j * height] += a.at(i + static_cast<std::size_t>(p.a_column + l) * height) *
                                     b.at(static_cast<std::size_t>(p.b_row + l) +
                                          j * static_cast<std::size_t>(b_rows.local()));
      }
      std::size_t index = 0;
      for (const std::int64_t j : c_cols.globals())
        for (const std::int64_t i : c_rows.globals()) {
          double exact = 0;
          for (std::int64_t l = 0; l < c.shape.k; ++l) exact += a_at(i, l) * b_at(l, j);
          worst = std::max(worst, std::fabs(sum[index++] - exact));
        }
    }
  return worst;
}

Params with(const char* key, Scalar value) {
  const Entry& entry = *find_entry("pdgemm", "cuda");
  Params p;
  for (const Key& k : entry.keys) p.set(k.name, k.default_value);
  p.set(key, std::move(value));
  return p;
}

}  // namespace

TEST_CASE("panels of the distributed product: plain loops over them give the product") {
  for (const ProcessGrid grid : {ProcessGrid{1, 1}, {1, 3}, {3, 1}, {2, 2}, {2, 3}})
    for (const std::int64_t widest : {0, -1, 1, 3, 4, 100})
      for (const std::int64_t kb : {1, 4, 5, 64}) {
        CAPTURE(grid.rows, grid.cols, widest, kb);
        CHECK(largest_error(case_of(7, 9, 23, grid, 2, 3, kb), widest) == 0);
        CHECK(largest_error(case_of(1, 2, 3, grid, 4, 4, kb), widest) == 0);  // some hold nothing
      }
}

TEST_CASE("panels cover k once, in order, and none is wider than asked or than a block") {
  const PdgemmCase c = case_of(8, 8, 1000, {2, 3}, 2, 2, 128);
  for (const std::int64_t widest : {0, 1, 100, 128, 4096}) {
    std::int64_t next = 0;
    for (const Panel& p : pdgemm_panels(c, widest)) {
      CHECK(p.first == next);
      CHECK((p.width >= 1 && p.width <= (widest > 0 ? std::min<std::int64_t>(widest, 128) : 128)));
      CHECK(p.first / 128 == (p.first + p.width - 1) / 128);
      next += p.width;
    }
    CHECK(next == 1000);
  }
}

TEST_CASE("pdgemm on GPUs: keys, refusals and memory") {
  const Entry* entry = find_entry("pdgemm", "cuda");
  REQUIRE(entry != nullptr);
  CHECK(entry->validate(with("m", std::int64_t{4096})).empty());
  CHECK(entry->validate(with("trans_a", std::string("T"))).find("trans_a") != std::string::npos);
  CHECK(entry->validate(with("trans_b", std::string("T"))).find("trans_b") != std::string::npos);
  CHECK(!entry->validate(with("grid", std::string("0x2"))).empty());
  CHECK(entry->examples().size() >= 8);
  for (const Params& p : entry->examples()) CHECK(entry->validate(p).empty());

  // 4096³ in f64 on 2×2: 2048² of A, B and C; two slots of 2048 × 1024 for each operand; 96 MiB for
  // cuBLASLt.
  const Cost four = entry->cost(with("m", std::int64_t{4096}), 4, 1);
  const double mib = 1024.0 * 1024;
  CHECK(four.memory_bytes == Approx(3 * 32 * mib + 4 * 16 * mib + 96 * mib));
  CHECK(four.flops == Approx(2 * std::pow(4096.0, 3)));
  // Alone nothing moves.
  CHECK(entry->cost(with("m", std::int64_t{4096}), 1, 1).bytes_sent == 0);
  const Cost narrow = entry->cost(with("dtype", std::string("bf16")), 4, 1);
  CHECK(narrow.bytes_sent == Approx(four.bytes_sent / 4));
}
