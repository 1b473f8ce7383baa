// SPDX-License-Identifier: BSD-3-Clause
#include "summary/scaling.hpp"

#include <cmath>
#include <numeric>

#include "dlscale_catch.hpp"
#include "example_run.hpp"
#include "summary/scale_lines.hpp"

using namespace dlscale;

namespace {

CaseOutcome& outcome(Example& run, const Case& c) {
  return run.outcomes[static_cast<std::size_t>(c.id)];
}

// Training of one network on `ranks` ranks, 64 images each, `seconds` per step.
int add_training(Example& run, int ranks, double seconds, const char* overlap = "none") {
  Case& c = run.add("train_parallel", "f32", 1e9 * ranks,
                    std::vector<double>(static_cast<std::size_t>(ranks), seconds));
  c.placement = "packed";
  c.series = "weak";
  c.cost.items = 64.0 * ranks;
  c.params.set("model", std::string("topflight-cnn"));
  c.params.set("parallel", std::string("data"));
  c.params.set("overlap", std::string(overlap));
  return c.id;
}

// The same by ranks for themselves.
void add_own_share(Example& run, const char* occupancy, int ranks, double seconds) {
  Case& c = run.plan.cases[static_cast<std::size_t>(add_training(run, ranks, seconds))];
  c.placement.clear();
  c.series = "own";
  c.occupancy = occupancy;
  c.cost.items = 64;
  c.params.set("parallel", std::string("none"));
  outcome(run, c).means.rank_own.assign(static_cast<std::size_t>(ranks), seconds);
}

std::vector<ScalingPoint> points_of(const Example& run) {
  return scaling_points(run.plan, run.layout, run.outcomes);
}

std::vector<Loss> ledger_of(const Example& run) {
  return ledger(points_of(run).at(0), run.plan, run.layout, run.outcomes);
}

// The lines before they are wrapped.
std::string lines_of(const Example& run) {
  std::string all;
  for (const auto& [label, text] : scale_lines(run.summary())) all += label + ": " + text + "\n";
  return all;
}

double sum(const std::vector<Loss>& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0,
                         [](double total, const Loss& loss) { return total + loss.points; });
}

// 1 and 4 ranks: T 10 → 16 ms; of it U 12, W 2.5, X 1, T − d 0.5.
Example with_means() {
  Example run(4);
  add_training(run, 1, 10e-3);
  const int last = add_training(run, 4, 16e-3);
  run.outcomes[0].means.wall = 10e-3;
  CaseMeans& m = run.outcomes[static_cast<std::size_t>(last)].means;
  m.wall = 16e-3;
  m.own = 15.5e-3;
  m.blocked = 3.5e-3;
  m.waiting = 2.5e-3;
  return run;
}

}  // namespace

TEST_CASE("efficiency of weak scaling against the fewest ranks, with the interval of the ratio") {
  Example run(4);
  add_training(run, 4, 12.5e-3);
  add_training(run, 1, 10e-3);
  add_training(run, 2, 11e-3);
  run.outcomes[0].seconds = {.median = 12.5e-3, .low = 12e-3, .high = 13e-3, .valid = true, .blocks = 6};
  const auto points = points_of(run);
  REQUIRE(points.size() == 1);
  CHECK(points[0].base->ranks == 1);
  CHECK(points[0].last->ranks == 4);
  const Interval& e = points[0].efficiency;
  CHECK(e.median == Approx(0.8));
  // The baseline's own interval has no width here.
  CHECK(e.low == Approx(0.8 * 12.5 / 13));
  CHECK(e.high == Approx(0.8 * 12.5 / 12));
  CHECK(render_foms(run.summary()).find("_efficiency = 0.8 1\n") != std::string::npos);
  CHECK(lines_of(run).find("E = 0.800 [0.769, 0.833]") != std::string::npos);
}

TEST_CASE("strong scaling: the same work by more ranks") {
  Example run(4);
  for (const int ranks : {1, 4}) {
    const std::vector<double> seconds(static_cast<std::size_t>(ranks), ranks == 1 ? 1.0 : 0.3);
    run.add("pdgemm", "f64", 8e9, seconds).placement = "packed";
  }
  CHECK(points_of(run).at(0).efficiency.median == Approx(1 / 0.3 / 4));
}

TEST_CASE("only equal cases make a curve, and its name says in what they differ") {
  Example run(4);
  for (const char* overlap : {"none", "test"})
    for (const int ranks : {1, 4}) add_training(run, ranks, 10e-3, overlap);
  run.outcomes[3].check_passed = false;  // the last point of the second
  const auto points = points_of(run);
  REQUIRE(points.size() == 1);
  CHECK(points[0].name == "train_parallel topflight-cnn f32");
  run.outcomes[3].check_passed = true;
  CHECK(points_of(run).at(1).name == "train_parallel topflight-cnn f32 overlap=test");
}

TEST_CASE("batched and isolated times make no ratio") {
  Example run(4);
  add_training(run, 2, 10e-3);
  add_training(run, 4, 10e-3);
  run.outcomes[1].batched = true;
  CHECK(points_of(run).at(0).why.find("batched") != std::string::npos);
  CHECK(lines_of(run).find("no efficiency") != std::string::npos);
  CHECK(render_foms(run.summary()).find("_efficiency") == std::string::npos);
}

TEST_CASE("over several nodes a full node is the baseline") {
  Example run(8);  // two nodes of four
  for (const int ranks : {1, 4, 8}) add_training(run, ranks, 10e-3);
  CHECK(points_of(run).at(0).base->ranks == 4);
  Example one(4);
  for (const int ranks : {1, 4}) add_training(one, ranks, 10e-3);
  CHECK(points_of(one).at(0).base->ranks == 1);
}

TEST_CASE("the ledger adds up to 1 - E, joined where a share was not measured") {
  const Example run = with_means();
  const auto losses = ledger_of(run);
  REQUIRE(losses.size() == 4);
  CHECK(losses[0].name == "granularity + sharing + interference");
  CHECK(losses[0].points == Approx(100 * 2.0 / 16));
  CHECK(losses[1].points == Approx(100 * 2.5 / 16));
  CHECK(losses[2].name == "exposed communication");
  CHECK(losses[2].points == Approx(100 * 1.0 / 16));
  CHECK(losses[3].points == Approx(100 * 0.5 / 16));
  CHECK(sum(losses) == Approx(100 * (1 - 10.0 / 16)));
  CHECK(largest_losses(run.summary()).find("15.6 points by waiting") != std::string::npos);
}

TEST_CASE("own shares alone and together split what is local") {
  Example run = with_means();
  add_own_share(run, "alone", 1, 9.8e-3);
  add_own_share(run, "together", 4, 11.5e-3);
  const auto losses = ledger_of(run);
  REQUIRE(losses.size() == 6);
  CHECK(losses[0].name == "granularity");
  CHECK(losses[0].points == Approx(-100 * 0.2 / 16));
  CHECK(losses[1].name == "sharing");
  CHECK(losses[1].points == Approx(100 * 1.7 / 16));
  CHECK(losses[2].name == "interference");
  CHECK(losses[2].points == Approx(100 * 0.5 / 16));
  CHECK(sum(losses) == Approx(100 * (1 - 10.0 / 16)));
}

TEST_CASE("a run without communication stands for the own share together") {
  Example run = with_means();
  Case& c = run.plan.cases[static_cast<std::size_t>(add_training(run, 4, 11e-3))];
  c.params.set("communicate", false);
  outcome(run, c).means.rank_own.assign(4, 11e-3);
  for (Case& other : run.plan.cases)
    if (!other.params.has("communicate")) other.params.set("communicate", true);
  const auto losses = ledger_of(run);
  CHECK(points_of(run).size() == 1);  // it is no curve's point
  CHECK(losses.at(0).name == "granularity + sharing");
  CHECK(losses.at(0).points == Approx(100 * 1.0 / 16));
  CHECK(losses.at(1).points == Approx(100 * 1.0 / 16));
  CHECK(sum(losses) == Approx(100 * (1 - 10.0 / 16)));
}

TEST_CASE("of a library's product the BLAS calls are the share, and waiting stays with transfer") {
  Example run = with_means();
  CaseMeans& m = run.outcomes[1].means;
  m.parts = {{"blas", 11e-3}, {"pack", 1e-3}, {"mpi", 3.5e-3}};
  m.waiting = not_a_number;
  const auto losses = ledger_of(run);
  REQUIRE(losses.size() == 4);
  CHECK(losses[0].name == "granularity + sharing");
  CHECK(losses[0].points == Approx(100 * 1.0 / 16));
  CHECK(losses[1].name == "interference");
  CHECK(losses[2].name == "waiting + exposed communication");
  CHECK(sum(losses) == Approx(100 * (1 - 10.0 / 16)));
}

TEST_CASE("without parts there is no ledger") {
  Example run = with_means();
  run.outcomes[1].means.blocked = not_a_number;
  CHECK(ledger_of(run).empty());
}

namespace {

void add_pairs(Example& run, int bytes, const std::vector<PairTime>& pairs) {
  Case& c = run.add("pairwise", "", 0, std::vector<double>(run.layout.ranks.size(), 1e-3));
  c.placement = "packed";
  c.params.set("bytes", static_cast<std::int64_t>(bytes));
  outcome(run, c).means.pairs = pairs;
}

}  // namespace

TEST_CASE("the worst pair between nodes is named, against pairs of its kind") {
  Example run(8);
  add_pairs(run, 8, {{0, 4, 2e-6}, {1, 5, 2e-6}, {2, 6, 2e-6}, {2, 3, 1e-6}});
  add_pairs(run, 1 << 20, {{0, 4, 1e-3}, {1, 5, 2e-3}, {2, 6, 1e-3}, {2, 3, 5e-3}});
  const std::string text = lines_of(run);
  CAPTURE(text);
  CHECK(text.find("worst pair") != std::string::npos);
  CHECK(text.find("ranks 1 – 5 on") != std::string::npos);
  CHECK(text.find("+100.0 % in time against the median of 3 pairs") != std::string::npos);
  CHECK(text.find("latency 2 us") != std::string::npos);
}

TEST_CASE("bus bandwidth is told at the size of the model's gradients, with its share of the pairs'") {
  Example run(2);
  add_training(run, 2, 10e-3);  // 2 MB of gradients by the fake registry
  add_pairs(run, 1'000'000, {{0, 1, 1e-3}});
  for (const std::int64_t bytes : {8'000'000, 2'000'000}) {
    Case& c = run.add("collective", "f32", 0, {4e-3, 4e-3});
    c.placement = "packed";
    c.params.set("op", std::string("allreduce"));
    c.params.set("bytes", bytes);
    c.cost.bytes_sent = 2.0 * static_cast<double>(bytes);  // 2 ranks × bus bytes
    outcome(run, c).means.wall = 4.5e-3;
    outcome(run, c).means.arrival = 0.5e-3;
  }
  const std::string text = lines_of(run);
  CAPTURE(text);
  CHECK(text.find("500 MB/s bus bandwidth at 1.91 MiB f32 on 2 ranks (isolated), 50 %") !=
        std::string::npos);
}
