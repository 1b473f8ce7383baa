// SPDX-License-Identifier: BSD-3-Clause
/// The BLAS that is loaded: its threads and its name, whatever its vendor. Nothing of a vendor is
/// linked.
#pragma once

#include <string>

namespace dlscale {

/// Threads of the next BLAS calls of this process. Returns false when the loaded BLAS offers no way to
/// set them.
bool set_blas_threads(int threads);

struct BlasFacts {
  std::string library;  ///< file that dgemm_ came from
  std::string vendor;   ///< "OpenBLAS" | "MKL" | "BLIS" | "unknown BLAS"
  std::string config;   ///< version, in the library's own words
  std::string
      core_name;    ///< architecture its kernels are chosen for ("SkylakeX"); empty if it does not tell
  int threads = 0;  ///< in effect; 0 if it does not tell
};
BlasFacts blas_facts();

}  // namespace dlscale
