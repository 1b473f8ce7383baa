// SPDX-License-Identifier: BSD-3-Clause
#include "measure/sampler.hpp"

#include "base/clock.hpp"

namespace dlscale {

OwnSamples take_samples(Workload& workload, const Batch& batch, DisseminationBarrier* align, bool every,
                        std::int64_t epoch_ns, Probes& probes) {
  const auto rows = static_cast<std::size_t>(batch.rows());
  const std::size_t width = Probes::list().size();
  OwnSamples own{std::vector<std::int64_t>(rows), std::vector<std::int64_t>(rows),
                 std::vector<double>(rows * width)};
  workload.reset();
  for (std::size_t i = 0; i < rows; ++i) {
    probes.begin();
    if (align != nullptr && (every || i == 0)) align->wait();
    const std::int64_t start = now_ns();
    for (std::int64_t r = 0; r < batch.repeats; ++r) workload.run();
    const std::int64_t stop = now_ns();
    own.start[i] = start - epoch_ns;
    own.stop[i] = stop - epoch_ns;
    probes.end(1e-9 * static_cast<double>(stop - start), &own.probes[i * width]);
  }
  return own;
}

}  // namespace dlscale
