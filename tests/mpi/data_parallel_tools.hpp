// SPDX-License-Identifier: BSD-3-Clause
/// What the tests of data-parallel training share.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "measure/sampler.hpp"
#include "test_session.hpp"
#include "workloads/train/data_parallel_mpi.hpp"
#include "workloads/train/gradient_reducer_mpi.hpp"
#include "workloads/train/train.hpp"

namespace dlscale {

inline const Communicator& world() {
  return test_session().world();
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What `action` threw, the same on all ranks; empty if nothing.
template <class Action>
inline std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline std::vector<Overlap> overlaps() {
  std::vector<Overlap> all{Overlap::none, Overlap::test};
  if (mpi_thread_multiple()) all.push_back(Overlap::thread);
  return all;
}

using Overrides = std::vector<std::pair<const char*, Scalar>>;

/// A small network on all ranks: images of 8 pixels, several buckets.
inline Params parallel_case(const Overrides& more = {}) {
  Params p;
  for (const Key& key : train_keys()) p.set(key.name, key.default_value);
  p.set("parallel", std::string("data"));
  p.set("image", std::int64_t{8});
  p.set("batch", std::int64_t{4});
  p.set("data", std::string("random"));
  p.set("train_images", std::int64_t{400});
  p.set("bucket_bytes", std::int64_t{100'000});
  for (const auto& [key, value] : more) p.set(key, value);
  return p;
}

inline std::unique_ptr<Workload> made(const Params& params) {
  WorkContext context;
  context.params = params;
  context.seed = 7;
  context.rank = world().rank();
  context.participants = &world();
  return find_entry("train", "cpu")->make(context);
}

inline OwnSamples take(Workload& workload, const Params& params, std::int32_t samples, Probes& probes) {
  Batch batch;
  batch.samples = samples;
  batch.block = 0;
  return take_samples(workload, batch,
                      {.distributed = true,
                       .widths = {.probes = probes.list().size(),
                                  .parts = 6,
                                  .bucket_times = 3 * train_buckets(params).size()}},
                      probes);
}

}  // namespace dlscale
