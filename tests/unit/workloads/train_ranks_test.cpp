// SPDX-License-Identifier: BSD-3-Clause
// train on several ranks: what a case means, what it costs.
#include <string>

#include "dlscale_catch.hpp"
#include "train_params.hpp"

using namespace dlscale;

TEST_CASE("training on several ranks: what makes no sense is refused, the key being named") {
  const auto data = [](Overrides more) {
    more.insert(more.begin(), {"parallel", text("data")});
    return train_params(more);
  };
  const auto refused = [](const Params& params, const char* words) {
    const std::string problem = train_validate(params);
    INFO(problem);
    CHECK(contains(problem, words));
  };
  CHECK(train_validate(data({})).empty());
  CHECK(train_validate(data({{"scaling", text("strong")}, {"global_batch", whole(256)}})).empty());
  refused(data({{"scaling", text("strong")}}), "needs global_batch");
  refused(data({{"global_batch", whole(256)}}), "needs scaling = strong");
  refused(train_params({{"global_batch", whole(256)}}), "global_batch needs parallel = data");
  refused(train_params({{"scaling", text("strong")}}), "scaling = strong needs parallel = data");
  refused(data({{"scaling", text("strong")}, {"global_batch", whole(256)}, {"layers", true}}), "layers");
  const Entry& entry = *find_entry("train", "cpu");
  CHECK(entry.is_distributed(data({})));
  CHECK_FALSE(entry.is_distributed(train_params({})));
  CHECK(contains(entry.unavailable(data({{"overlap", text("thread")}})), "MPI_THREAD_MULTIPLE"));
  CHECK(entry.unavailable(data({{"overlap", text("test")}})).empty());
}

TEST_CASE("a batch that does not divide, or leaves an epoch without a step, suits no such ranks") {
  const Params strong = train_params({{"parallel", text("data")},
                                      {"scaling", text("strong")},
                                      {"global_batch", whole(256)},
                                      {"train_images", whole(300)}});
  CHECK(train_unsuited(strong, 4).empty());
  CHECK(contains(train_unsuited(strong, 3), "global_batch = 256 does not divide by 3 ranks"));
  const Params weak =
      train_params({{"parallel", text("data")}, {"batch", whole(64)}, {"train_images", whole(300)}});
  CHECK(train_unsuited(weak, 4).empty());
  CHECK(contains(train_unsuited(weak, 5), "320 images, train_images = 300"));
  CHECK(train_unsuited(train_params({{"batch", whole(64)}, {"train_images", whole(70)}}), 1000).empty());
}

TEST_CASE("work of all ranks: weak scaling grows it, strong scaling does not; who sends what") {
  const Params alone = train_params({{"batch", whole(32)}, {"train_images", whole(1000)}});
  Params weak = alone;
  weak.set("parallel", text("data"));
  Params strong = weak;
  strong.set("scaling", text("strong"));
  strong.set("global_batch", whole(96));
  const Cost one = train_cost(alone, 1, 1);
  CHECK(train_cost(alone, 7, 1).flops == one.flops);
  for (const int ranks : {1, 3}) {
    CHECK(train_cost(weak, ranks, 1).flops == ranks * one.flops);
    CHECK(train_cost(weak, ranks, 1).items == ranks * 32);
    CHECK(train_cost(strong, ranks, 1).flops == Approx(3 * one.flops));
    CHECK(train_cost(strong, ranks, 1).items == 96);
    // 422,474 gradients, each tensor rounded up to a cache line.
    CHECK(train_cost(weak, ranks, 1).bytes_sent ==
          Approx(2.0 * (ranks - 1) * 4 * 422'474).epsilon(1e-3));
  }
  CHECK(train_cost(weak, 3, 1).memory_bytes == one.memory_bytes);
  CHECK(train_cost(strong, 3, 1).memory_bytes < train_cost(strong, 1, 1).memory_bytes);
  double bytes = 0;
  for (const double bucket : train_buckets(weak)) bytes += bucket;
  CHECK(bytes == Approx(4 * 422'474).epsilon(1e-3));
  CHECK(train_buckets(alone).empty());
  weak.set("bucket_bytes", whole(100'000));
  CHECK(train_buckets(weak).size() > 4);
  // Steps of an epoch: every rank has its part of the images, the last rounded up.
  weak.set("whole_epochs", true);
  CHECK(train_block_samples(weak, 1) == 32);  // ⌈1000 / 32⌉
  CHECK(train_block_samples(weak, 3) == 11);  // ⌈334 / 32⌉
  strong.set("whole_epochs", true);
  CHECK(train_block_samples(strong, 3) == 11);
  CHECK(train_block_samples(strong, 1) == 11);  // ⌈1000 / 96⌉
}
