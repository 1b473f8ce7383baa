// SPDX-License-Identifier: BSD-3-Clause
/// C = α·op(A)·op(B) + β·C, one product on all participants: blocks of every matrix are dealt out over a
/// grid of P×Q ranks, and ScaLAPACK multiplies. docs/metrics.md, "The distributed product".
#pragma once

#include <cstdint>
#include <string>

#include "workloads/gemm/gemm.hpp"
#include "workloads/pdgemm/dealt.hpp"

namespace dlscale {

/// Ranks in row-major order: rank r is at (r / cols, r mod cols); neighbours in a row are on one node.
struct ProcessGrid {
  int rows = 1, cols = 1;
  std::int64_t size() const { return static_cast<std::int64_t>(rows) * cols; }
};

/// Values of the key logical_block that are no size.
constexpr std::int64_t librarys_own_block = -1, block_by_rule = 0;

/// A case on a number of ranks.
struct PdgemmCase {
  GemmShape shape;  ///< in effect: scaled by `scaling`
  ProcessGrid grid;
  std::int64_t mb = 1, nb = 1, kb = 1;  ///< blocks of the dimensions m, n and k
  std::int64_t logical_block = 0;       ///< in effect; librarys_own_block stays

  /// Rows and columns of a matrix as it is stored, at place (row, col) of the grid.
  Dealt rows_of(GemmOperand operand, int row) const;
  Dealt cols_of(GemmOperand operand, int col) const;
};

/// Pure. `ranks` = participants; where they are too few, pdgemm_unsuited() says so.
PdgemmCase pdgemm_case(const Params& params, int ranks);

/// "auto": the factors P·Q = ranks with the least volume sent, near square for m = n.
ProcessGrid best_grid(std::int64_t m, std::int64_t n, int ranks);

/// Elements sent when C stays where it is (SUMMA): all of op(A) to the other columns of the grid, all of
/// op(B) to the other rows.
double summa_elements(const GemmShape& shape, const ProcessGrid& grid);

/// The pure half.
std::vector<Key> pdgemm_keys();
std::vector<Params> pdgemm_examples();
std::string pdgemm_validate(const Params& params);
/// Why `ranks` ranks can't run the case; empty when they can.
std::string pdgemm_unsuited(const Params& params, int ranks);
Cost pdgemm_cost(const Params& params, int ranks, int threads);

}  // namespace dlscale
