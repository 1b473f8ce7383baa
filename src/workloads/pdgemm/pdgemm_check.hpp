// SPDX-License-Identifier: BSD-3-Clause
/// Verification at full size of a product that no rank holds whole: nothing but vectors is exchanged.
#pragma once

#include <span>

#include "comm/communicator.hpp"
#include "workloads/pdgemm/pdgemm.hpp"

namespace dlscale {

/// This rank's blocks of one matrix, column-major with rows.local() rows, and where they belong.
template <class T>
struct LocalBlocks {
  Dealt rows, cols;
  std::span<const T> data;
};

/// Element (i, j), global, of an operand as stored: a function of the seed alone, whatever the grid, and
/// the same as in `gemm`.
template <class T>
T pdgemm_element(std::uint64_t key, const LocalBlocks<T>& matrix, std::int64_t i, std::int64_t j);

/// This rank's blocks of a product.
template <class T>
struct PdgemmResult {
  GemmShape shape;
  std::uint64_t seed = 0;
  std::int64_t repetitions = 1;  ///< executions since C was filled
  LocalBlocks<T> a, b, c;
};

/// Residual of gemm_check(): every rank multiplies its blocks, the grid adds. A rank's verdict is about
/// its own rows of C.
/// @note Collective over `grid`, the ranks of the grid.
template <class T>
Check pdgemm_check(const PdgemmResult<T>& result, GemmPrecision precision, const Communicator& grid);

/// Every element that this rank holds against a float64 loop over the seed's own A and B. O(k) each: for
/// small cases. Exchanges nothing.
template <class T>
Check pdgemm_check_elements(const PdgemmResult<T>& result, GemmPrecision precision);

}  // namespace dlscale
