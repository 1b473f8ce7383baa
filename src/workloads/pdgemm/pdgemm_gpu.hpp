// SPDX-License-Identifier: BSD-3-Clause
/// The pure half of pdgemm on GPUs: SUMMA (van de Geijn, Watts 1997, doi
/// 10.1002/(SICI)1096-9128(199704)9:4<255::AID-CPE250>3.0.CO;2-2).
#pragma once

#include <vector>

#include "workloads/pdgemm/pdgemm.hpp"

namespace dlscale {

/// One step: columns first … first + width − 1 of A times the same rows of B. They lie in one block of
/// k, and so at one column of the grid (A) and one row of it (B).
struct Panel {
  std::int64_t first = 0, width = 0;
  int a_at = 0, b_at = 0;                ///< column and row of the grid that hold it
  std::int64_t a_column = 0, b_row = 0;  ///< where it begins in what they hold
};
/// All of k, in order; `widest` ≤ 0: whole blocks.
std::vector<Panel> pdgemm_panels(const PdgemmCase& c, std::int64_t widest);

}  // namespace dlscale
