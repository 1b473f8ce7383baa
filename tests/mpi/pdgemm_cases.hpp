// SPDX-License-Identifier: BSD-3-Clause
/// Cases of pdgemm for the tests.
#pragma once

#include <string>

#include "test_session.hpp"
#include "workloads/pdgemm/pdgemm_cpu.hpp"

namespace dlscale {

constexpr std::uint64_t pdgemm_seed = 11;

inline Params pdgemm_params(std::int64_t m, std::int64_t n, std::int64_t k, const std::string& dtype) {
  Params params;
  for (const Key& key : pdgemm_keys()) params.set(key.name, key.default_value);
  params.set("m", m);
  params.set("n", n);
  params.set("k", k);
  params.set("dtype", dtype);
  for (const char* key : {"mb", "nb", "kb"}) params.set(key, std::int64_t{8});
  return params;
}

inline WorkContext pdgemm_context(const Params& params) {
  const Communicator& world = test_session().world();
  WorkContext context;
  context.params = params;
  context.seed = pdgemm_seed;
  context.rank = world.rank();
  context.participants = &world;
  return context;
}

}  // namespace dlscale
