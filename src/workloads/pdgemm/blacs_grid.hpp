// SPDX-License-Identifier: BSD-3-Clause
/// A BLACS grid, owned.
#pragma once

#include "comm/communicator.hpp"
#include "workloads/pdgemm/pdgemm.hpp"

namespace dlscale {

/// Made of a communicator of exactly grid.size() ranks. Like a Communicator it is not given back while
/// an exception unwinds the stack: that is collective.
class BlacsGrid {
 public:
  /// @note Collective.
  BlacsGrid(const Communicator& comm, const ProcessGrid& grid);
  ~BlacsGrid();
  BlacsGrid(const BlacsGrid&) = delete;
  BlacsGrid& operator=(const BlacsGrid&) = delete;

  int context() const noexcept { return context_; }
  int row() const noexcept { return row_; }
  int col() const noexcept { return col_; }

 private:
  Communicator comm_;
  int system_ = -1, context_ = -1;
  int row_ = -1, col_ = -1;
};

}  // namespace dlscale
