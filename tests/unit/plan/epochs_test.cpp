// SPDX-License-Identifier: BSD-3-Clause
// Cases whose blocks are whole epochs: their samples are planned, and travel with the plan.
#include <cmath>
#include <limits>

#include "dlscale_catch.hpp"
#include "fake_entries.hpp"

using namespace dlscale;
#if DLSCALE_CATCH_MAJOR >= 3
using Catch::Approx;
#endif

namespace {

// Trains on `images` images, `batch` per rank and step.
std::vector<Entry> with_train() {
  std::vector<Entry> entries = fake_entries();
  Entry train;
  train.name = "train";
  train.variant = "cpu";
  train.description = "fake train";
  train.rate = RateKind::images;
  train.keys = {{"images", std::int64_t{1000}, "of an epoch", {}, {}, {}},
                {"batch", std::int64_t{10}, "images per rank and step", 1, 1e6, {}}};
  train.epochs = {{"loss", "1", "mean"}};
  train.cost = [](const Params& p, int, int) {
    Cost cost;
    cost.flops = 1e9 * p.number("batch");
    cost.items = p.number("batch");
    return cost;
  };
  train.block_samples = [](const Params& p, int) { return p.integer("images") / p.integer("batch"); };
  entries.push_back(train);
  return entries;
}

Plan plan_with_train(const std::string& keys, const std::string& head = "") {
  const std::vector<Entry> entries = with_train();
  return make_plan(parse_job(head + "[[case]]\nworkload = \"train\"\n" + keys, "job.toml", "."),
                   small_layout(), entries, {});
}

}  // namespace

TEST_CASE("an epoch's samples are counted in the time a case needs") {
  const Plan once = plan_with_train("images = 10\n"), epoch = plan_with_train("images = 1000\n");
  const Case a = asked_of(once).at(0), b = asked_of(epoch).at(0);
  CHECK(a.block_samples == 1);
  CHECK(b.block_samples == 100);
  CHECK(a.predicted_s == b.predicted_s);  // of one repetition
  // Six blocks more of 99 samples each; all else is the same.
  CHECK(epoch.predicted_s - once.predicted_s == Approx(6 * 99 * b.predicted_s));
  const Plan two = plan_with_train("images = 1000\n", "[sampling]\nblocks = 2\n");
  CHECK(epoch.predicted_s - two.predicted_s == Approx(4 * 100 * b.predicted_s).epsilon(1e-3));
}

TEST_CASE("items and block samples come back from the plan's JSON") {
  const Plan plan = plan_with_train("images = 1234567\nbatch = 3\n");
  const Plan back = plan_from_json(plan_to_json(plan));
  const Case a = asked_of(plan).at(0), b = asked_of(back).at(0);
  CHECK(b.block_samples == 411522);
  CHECK(b.cost.items == 3);
  CHECK(a.cost.flops == b.cost.flops);
}

TEST_CASE("a block that can't be gathered is refused") {
  const std::string message = message_of([] { plan_with_train("images = 100000000\nbatch = 1\n"); });
  CHECK(message.find("100000000 samples") != std::string::npos);
  CHECK(message.find("batch") != std::string::npos);
}
