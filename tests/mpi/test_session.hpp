// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.hpp"

namespace dlscale {

/// The one session of mpi_tests, made before the first test. Tests that need messages of their own
/// duplicate its world().
MpiSession& test_session();

}  // namespace dlscale
