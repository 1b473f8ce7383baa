// SPDX-License-Identifier: BSD-3-Clause
/// The module's workloads; the table is generated from the folders of src/workloads.
#pragma once

#include <memory>
#include <span>

#include "workloads/contract.hpp"

namespace dlscale::cuda {

struct Factory {
  const char* name;
  std::unique_ptr<Workload> (*make)(const WorkContext&);
};
std::span<const Factory> factories();

}  // namespace dlscale::cuda
