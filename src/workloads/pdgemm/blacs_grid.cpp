// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/pdgemm/blacs_grid.hpp"

#include <fmt/format.h>

#include <exception>

#include "workloads/pdgemm/scalapack.hpp"

namespace dlscale {

BlacsGrid::BlacsGrid(const Communicator& comm, const ProcessGrid& grid) : comm_(comm.duplicate()) {
  // BLACS looks at no return code, and its communicators inherit this handler: MPI must end the run
  // itself.
  DLSCALE_MPI(MPI_Comm_set_errhandler(comm_.get(), MPI_ERRORS_ARE_FATAL));
  system_ = Csys2blacs_handle(comm_.get());
  context_ = system_;
  Cblacs_gridinit(&context_, "Row-major", grid.rows, grid.cols);
  int rows = 0, cols = 0;
  Cblacs_gridinfo(context_, &rows, &cols, &row_, &col_);
  if (rows != grid.rows || cols != grid.cols || row_ != comm.rank() / grid.cols ||
      col_ != comm.rank() % grid.cols)
    throw Error(ExitCode::case_failed, fmt::format("BLACS made no grid of {}x{}", grid.rows, grid.cols),
                fmt::format("it says {}x{}, and that rank {} is at ({}, {})", rows, cols, comm.rank(),
                            row_, col_),
                "check that ScaLAPACK was built for this MPI");
}

BlacsGrid::~BlacsGrid() {
  if (std::uncaught_exceptions() > 0) return;
  if (context_ >= 0) Cblacs_gridexit(context_);
  if (system_ >= 0) Cfree_blacs_system_handle(system_);
}

}  // namespace dlscale
