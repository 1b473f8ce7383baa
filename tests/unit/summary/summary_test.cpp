// SPDX-License-Identifier: BSD-3-Clause
#include "summary/summary.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "dlscale_catch.hpp"
#include "example_run.hpp"

using namespace dlscale;

namespace {

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

TEST_CASE("the rank that no-op delays is named, and only that one") {
  Example run(4);
  run.add("noop", "", 0, {3e-9, 2e-9, 5e-3, 4e-9});
  const auto lines = suspects(run.summary());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("rank 2 ") == 0);
  CHECK(lines[0].find("5 ms") != std::string::npos);
}

TEST_CASE("nanoseconds of nothing accuse nobody") {
  Example run(4);
  run.add("noop", "", 0, {3e-9, 1e-9, 90e-9, 4e-9});
  CHECK(suspects(run.summary()).empty());
}

TEST_CASE("a rank slower in most cases is named with its median excess") {
  Example run(4);
  run.add("gemm", "f64", 1e9, {1.0, 1.01, 1.0, 1.20});
  run.add("gemm", "f32", 1e9, {0.5, 0.5, 0.505, 0.6});
  const auto lines = suspects(run.summary());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("rank 3 ") == 0);
  CHECK(lines[0].find("2 of 2 cases") != std::string::npos);
  CHECK(lines[0].find("20.0 %") != std::string::npos);
}

TEST_CASE("small deviations and oversubscribed runs accuse nobody") {
  Example run(4);
  run.add("gemm", "f64", 1e9, {1.0, 1.01, 1.0, 1.02});
  CHECK(suspects(run.summary()).empty());
  Example busy(4);
  busy.add("gemm", "f64", 1e9, {1.0, 1.0, 1.0, 2.0});
  RunSummary summary = busy.summary();
  CHECK(suspects(summary).size() == 1);
  summary.oversubscribed = true;
  CHECK(suspects(summary).empty());
}

TEST_CASE("ranks that work on one problem accuse nobody, even where its work is none") {
  Example run(4);
  run.add("pdgemm", "f64", 1e9, {1.0, 1.0, 1.0, 2.0}).placement = "packed";
  run.add("pdgemm", "f64", 0, {1.0, 1.0, 1.0, 2.0}).placement = "packed";  // not "late in noop"
  CHECK(suspects(run.summary()).empty());
}

TEST_CASE("of two ranks the slower is named as such") {
  Example run(2);
  run.add("gemm", "f64", 1e9, {1.0, 1.5});
  const auto lines = suspects(run.summary());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("slower of two") != std::string::npos);
}

TEST_CASE("a failed case has no rate anywhere") {
  Example run(2);
  run.add("gemm", "f64", 1e9, {1.0, 1.0});
  run.outcomes[0].check_passed = false;
  run.outcomes[0].status = CaseStatus::failed;
  run.outcomes[0].message = "wrong result on 1 of 2 ranks";
  const RunSummary summary = run.summary();
  CHECK(render_table(summary).find("GFLOP/s") == std::string::npos);
  CHECK(render_table(summary).find("wrong result") != std::string::npos);
  CHECK(render_ten_lines(summary).find("GEMM") == std::string::npos);
  CHECK(render_foms(summary).find("gemm") == std::string::npos);
}

TEST_CASE("rates, shares of the roof and sums over a node") {
  Example run(2);
  run.add("fma", "f64", 1e9, {0.01, 0.02});  // 100 and 50 GFLOP/s
  run.add("gemm", "f64", 1e9, {0.0125, 0.025}).roofs = {0};
  const RunSummary summary = run.summary();
  CHECK(rank_rate(run.plan.cases[1], run.outcomes[1], 1) == Approx(40e9));
  const RoofShare share = roof_share(run.plan.cases[1], run.plan.cases, run.outcomes);
  CHECK(share.median == Approx(0.8));
  CHECK(share.slowest == Approx(0.8));
  CHECK(render_ten_lines(summary).find("120 GFLOP/s per node") != std::string::npos);
  CHECK(render_foms(summary).find("FOM: gemm_dtypef64_median = ") != std::string::npos);
  RunSummary busy = run.summary();
  busy.oversubscribed = true;
  CHECK(render_ten_lines(busy).find("per node (median)") == std::string::npos);
}

TEST_CASE("sharing compares the same work together and alone") {
  Example run(4);
  run.add("gemm", "f64", 1e9, {1.25, 1.25, 1.25, 1.25});
  Case& alone = run.add("gemm", "f64", 1e9, {1.0});
  alone.occupancy = "alone";
  CHECK(sharing(run.plan.cases[0], run.plan.cases, run.outcomes) == Approx(0.8));
  CHECK(render_ten_lines(run.summary()).find("20.0 points") != std::string::npos);
}

TEST_CASE("everything fits into 80 columns") {
  Example run(8);
  run.add("noop", "", 0, std::vector<double>(8, 3e-9));
  run.add("fma", "f64", 1e9, std::vector<double>(8, 0.01));
  Case& c = run.add("gemm", "f64", 1e9, std::vector<double>(8, 0.0125));
  c.roofs = {1};
  RunSummary summary = run.summary();
  summary.oversubscribed = true;
  summary.warnings = {
      "a warning that goes on and on, so that it must be broken over several lines of the terminal, "
      "because nobody reads what runs out of the window"};
  std::istringstream lines(render_table(summary) + render_ten_lines(summary));
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(columns(line) <= 80);
  }
}

namespace {

// 8 images and 40 GFLOP per repetition on each rank.
Case& add_train(Example& run, const std::vector<double>& seconds) {
  Case& c = run.add("train", "f32", 40e9, seconds);
  c.cost.items = 8;
  c.params.set("model", std::string("vgg16"));
  return c;
}

}  // namespace

TEST_CASE("images per second have four digits and no exponent") {
  Case c;
  c.workload = "train";
  c.variant = "cpu";
  CHECK(rate_unit(c) == "images/s");
  CHECK(format_rate(c, 2713.4) == "2713 images/s");
  CHECK(format_rate(c, 27.134) == "27.13 images/s");
  CHECK(format_rate(c, 0.98765) == "0.9877 images/s");
  CHECK(format_rate(c, 271349) == "271300 images/s");
  CHECK(format_rate(c, 1234567) == "1.235 M images/s");
  CHECK(format_rate(c, 0) == "n/a");
  c.workload = "gemm";
  CHECK(format_rate(c, 54.3e9) == "54.3 GFLOP/s");
}

TEST_CASE("training is told in images per second, its roof in FLOP") {
  Example run(4);
  run.add("fma", "f32", 1e9, {0.01, 0.01, 0.01, 0.01});  // 100 GFLOP/s
  add_train(run, {0.8, 0.8, 0.8, 1.0}).roofs = {0};
  const RunSummary summary = run.summary();
  const Case& c = run.plan.cases[1];
  CHECK(rank_rate(c, run.outcomes[1], 3) == Approx(8));
  const RoofShare share = roof_share(c, run.plan.cases, run.outcomes);
  CHECK(share.median == Approx(0.5));
  CHECK(share.slowest == Approx(0.4));
  const std::string lines = render_ten_lines(summary);
  CHECK(lines.find("train f32") != std::string::npos);
  CHECK(lines.find("vgg16: 10.00 images/s") != std::string::npos);
  CHECK(lines.find("38.00 images/s") != std::string::npos);  // 3 × 10 + 8 on 4 ranks
  CHECK(lines.find("50.0 % of FMA peak f32") != std::string::npos);
  CHECK(render_table(summary).find("10.00 images/s") != std::string::npos);
  const std::string foms = render_foms(summary);
  CHECK(foms.find("FOM: train_dtypef32_median = 10 images/s") != std::string::npos);
  CHECK(foms.find("FOM: train_dtypef32_slowest = 8 images/s") != std::string::npos);
  CHECK(foms.find("FOM: train_dtypef32_sum = 38 images/s") != std::string::npos);
  RunSummary busy = run.summary();
  busy.oversubscribed = true;
  CHECK(render_ten_lines(busy).find("38.00") == std::string::npos);
  CHECK(render_foms(busy).find("_sum") == std::string::npos);
}

TEST_CASE("the work of a distributed case is shared by its ranks") {
  Example run(4);
  const Case& c = run.add("pdgemm", "f64", 8e9, {1.0, 1.0, 1.0, 1.0});
  CHECK(work_per_rank(c) == 2e9);
  CHECK(flops_per_rank(c) == 2e9);  // what min_flops asks for
  CHECK(rank_rate(c, run.outcomes[0], 2) == Approx(2e9));
}

TEST_CASE("every FOM line is one name, one number, one unit, and no name comes twice") {
  Example run(2);
  run.add("noop", "", 0, {1e-9, 2e-9});
  run.add("gemm", "f64", 1e9, {0.01, 0.02});
  run.add("gemm", "f64", 1e9, {0.02, 0.02});
  run.add("gemm", "f64_2", 1e9, {0.03, 0.03});  // the word that the second would get
  run.add("gemm", "x", 1e9, {0.03, 0.03}).repro = "gemm label='a b\nc' alpha=-0.5 m=8";
  run.outcomes[1].status = CaseStatus::failed;  // its name is not given to another
  std::istringstream lines(render_foms(run.summary()));
  const std::regex form("FOM: ([A-Za-z0-9_.]+) = ([-+.0-9e]+) (s|1|GFLOP/s|GB/s|images/s)");
  std::set<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    std::smatch parts;
    REQUIRE(std::regex_match(line, parts, form));
    CHECK(names.insert(parts[1]).second);
  }
  CHECK(names == std::set<std::string>{"noop_median", "gemm_dtypef64_2_median",
                                       "gemm_dtypef64_2_slowest", "gemm_dtypef64_2_2_median",
                                       "gemm_dtypef64_2_2_slowest",
                                       "gemm_label_a_b_c_alpha_0.5_m8_median",
                                       "gemm_label_a_b_c_alpha_0.5_m8_slowest", "exit_code"});
}
