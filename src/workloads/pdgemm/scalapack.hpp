// SPDX-License-Identifier: BSD-3-Clause
/// What we call of ScaLAPACK and BLACS: no header of theirs exists. Integers have 32 bits.
#pragma once

#include <mpi.h>

extern "C" {

// BLACS, C interface. A system handle is a communicator's number, a context that of a grid.
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int* handle_in_context_out, const char* order, int rows, int cols);
void Cblacs_gridinfo(int context, int* rows, int* cols, int* row, int* col);
void Cblacs_gridexit(int context);

// Tools, Fortran.
void descinit_(int* descriptor, const int* m, const int* n, const int* mb, const int* nb,
               const int* first_row, const int* first_col, const int* context, const int* lld,
               int* info);
int numroc_(const int* n, const int* nb, const int* part, const int* first, const int* parts);

// PBLAS, in C: no hidden lengths.
void pdgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
             const int*, const int*, const int*, const double*, const int*, const int*, const int*,
             const double*, double*, const int*, const int*, const int*);
void psgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
             const int*, const int*, const int*, const float*, const int*, const int*, const int*,
             const float*, float*, const int*, const int*, const int*);

}  // extern "C"
