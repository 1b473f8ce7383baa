// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>

#include "dlscale_catch.hpp"
#include "fake_entries.hpp"

using namespace dlscale;

namespace {

std::vector<std::string> repros(const Plan& plan) {
  std::vector<std::string> texts;
  for (const Case& c : asked_of(plan)) texts.push_back(c.repro);
  return texts;
}

Plan plan_of_case(const std::string& text, const Layout& layout = small_layout()) {
  CommandLine line;
  line.cases = {text};
  const std::vector<Entry> entries = fake_entries();
  return make_plan(load_config(line, ""), layout, entries);
}

const std::string gemm_head = "[[case]]\nworkload = \"gemm\"\n";

}  // namespace

TEST_CASE("arrays multiply, the rightmost key fastest") {
  CHECK(repros(plan_of(gemm_head + "n = [1, 2]\nm = [3, 4]\n")) ==
        std::vector<std::string>{"gemm m=3 n=1", "gemm m=4 n=1", "gemm m=3 n=2", "gemm m=4 n=2"});
}

TEST_CASE("zipped keys advance together, others multiply") {
  CHECK(repros(plan_of(gemm_head + "m = [1, 2]\nk = [5, 6]\nn = [3, 4]\nzip = [\"m\", \"n\"]\n")) ==
        std::vector<std::string>{"gemm m=1 n=3 k=5", "gemm m=1 n=3 k=6", "gemm m=2 n=4 k=5",
                                 "gemm m=2 n=4 k=6"});
}

TEST_CASE("rows of a list are combinations, and their label stays a label") {
  const Plan plan = plan_of(
      gemm_head + "list = [{m = 1, n = 2, label = \"a\"}, {m = 3, n = 4, label = 5}]\nk = [7, 8]\n");
  CHECK(repros(plan) == std::vector<std::string>{"gemm m=1 n=2 k=7", "gemm m=1 n=2 k=8",
                                                 "gemm m=3 n=4 k=7", "gemm m=3 n=4 k=8"});
  CHECK(asked_of(plan)[0].label == "a");
  CHECK(asked_of(plan)[3].label == "5");
}

TEST_CASE("general keys are the plan's") {
  const Plan plan =
      plan_of(gemm_head +
              "threads = 3\noccupancy = [\"alone\", \"together\", 1]\nlabel = \"l\"\nseries = \"s\"\n"
              "role = \"r\"\nblocks = 9\ninterval = 0.5\nwarmup = \"1s\"\nmin_time = 2\n"
              "max_time = \"1min\"\nrequire = { min_rate = 0.5 }\nalpha = 2\n");
  const auto asked = asked_of(plan);
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].occupancy == "alone");
  CHECK(asked[1].occupancy == "together");
  CHECK(asked[2].occupancy == "1");
  const Case& c = asked[0];
  CHECK(c.threads == 3);
  CHECK((c.label == "l" && c.series == "s" && c.role == "r"));
  CHECK(c.sampling == SamplingOptions{9, true, 0.5, 0.95, 1, 2, 60});
  CHECK(c.require == std::map<std::string, double>{{"min_rate", 0.5}});
  CHECK(c.params.at("alpha") == Scalar(2.0));  // widened
  CHECK_FALSE(c.params.has("threads"));
  CHECK(c.params.items().size() == 8);
  CHECK(c.name() == "gemm alpha=2.0 threads=3 f64 alone ×2");
}

TEST_CASE("wrong keys and values name file, line, key and workload") {
  const auto check = [](const std::string& tail, const std::vector<std::string>& parts) {
    const std::string message = message_of([&] { plan_of(gemm_head + tail); });
    CAPTURE(message);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(message.find(part) != std::string::npos);
    }
  };
  check("trans_b = 1", {"job.toml:3: unknown key 'trans_b' of gemm", "did you mean 'trans_a'?"});
  check("treads = 1", {"job.toml:3: unknown key 'treads'", "did you mean 'threads'?"});
  check("m = 0", {"job.toml:3: key 'm' of gemm can't be 0", "an integer from 1 to 2147483647"});
  check("m = [1, -1]", {"key 'm'", "-1"});
  check("m = 3000000000", {"key 'm'", "3000000000"});
  check("m = 1.0", {"key 'm'", "1.0", "an integer"});
  check("m = \"12\"", {"key 'm'", "the string \"12\""});
  check("m = true", {"key 'm'", "true"});
  check("alpha = \"x\"", {"key 'alpha'", "a number from -1000000 to 1000000"});
  check("alpha = 1e7", {"key 'alpha'"});
  check("pinned = 1", {"key 'pinned'", "true or false"});
  check("dtype = \"f46\"", {"key 'dtype'", "one of f64, f32", "did you mean 'f64'?"});
  check("dtype = 64", {"key 'dtype'", "64"});
  check("note = \"\"", {"key 'note'"});
  check("threads = -1", {"key 'threads'", "from 0 to 4096"});
  check("threads = \"x\"", {"key 'threads'"});
  check("occupancy = \"alon\"", {"key 'occupancy'", "did you mean 'alone'?"});
  check("occupancy = 0", {"key 'occupancy'"});
  check("label = \"\"", {"key 'label'"});
  check("blocks = 0", {"key 'blocks'"});
  check("interval = 2", {"key 'interval'"});
  check("warmup = \"x\"", {"key 'warmup'", "duration"});
  check("min_time = -1", {"key 'min_time'"});
  check("max_time = 1e300", {"key 'max_time'"});
  check("min_time = 3\nmax_time = 2", {"job.toml:1: min_time of gemm is more than its max_time"});
  check("m = 2000000000\nn = 2000000000\nk = 2000000000", {"job.toml:1: gemm: m·n·k overflows"});
  check("list = [{m = 1}, {m = -1}]", {"key 'm'", "-1"});
  CHECK(message_of([] { plan_of("[[case]]\nworkload = \"gem\""); }) ==
        "job.toml:1: unknown workload 'gem'; did you mean 'gemm'?");
  CHECK(message_of([] {
          plan_of("[[case]]\nworkload = \"spread\"\noccupancy = \"alone\"");
        }).find("key 'occupancy'") != std::string::npos);
  CHECK(message_of([] { plan_of_case("gemm m=1.5"); }).find("--case 'gemm m=1.5': key 'm'") == 0);
}

TEST_CASE("products too large to plan are refused before they are made") {
  std::string many;
  for (const char* key : {"m", "n", "k", "threads", "blocks", "alpha"}) {
    many += std::string(key) + " = [1";
    for (int i = 2; i <= 2000; ++i) many.append(",").append(std::to_string(i));
    many += "]\n";
  }
  CHECK(message_of([&] { plan_of(gemm_head + many); }).find("multiplies to more than 20000 cases") !=
        std::string::npos);
}

TEST_CASE("noop comes first, then each roof once, then what was asked") {
  const Plan plan = plan_of(
      gemm_head + "m = [1, 2]\ndtype = [\"f64\", \"f32\"]\noccupancy = [\"alone\", \"together\"]\n");
  std::vector<std::string> first;
  for (const Case& c : plan.cases) {
    CHECK(c.id == static_cast<int>(first.size()));
    if (c.order == 0) CHECK(c.id < 7);
    first.push_back(c.name());
  }
  REQUIRE(plan.cases.size() == 1 + 6 + 8);
  CHECK(plan.cases[0].workload == "noop");
  CHECK(plan.cases[0].role == "baseline");
  CHECK(first[1] == "fma f64 alone ×2");
  CHECK(first[2] == "triad alone ×2");
  CHECK(plan.cases[1].role == "roof");
  for (const Case& c : asked_of(plan)) {
    REQUIRE(c.roofs.size() == 2);
    const Case& fma = plan.cases[static_cast<std::size_t>(c.roofs[0])];
    const Case& triad = plan.cases[static_cast<std::size_t>(c.roofs[1])];
    CHECK((fma.workload == "fma" && fma.dtype == c.dtype && fma.occupancy == c.occupancy));
    CHECK((triad.workload == "triad" && triad.occupancy == c.occupancy && triad.threads == c.threads));
  }
}

TEST_CASE("what was asked for and is a roof or noop too is not measured twice") {
  const Plan plan = plan_of(std::string("[[case]]\nworkload = \"noop\"\nlabel = \"mine\"\n") +
                            gemm_head + "[[case]]\nworkload = \"triad\"\nseries = \"x\"\n");
  CHECK(plan.warnings.empty());
  REQUIRE(plan.cases.size() == 4);  // noop, fma, gemm, triad
  CHECK(plan.cases[0].label == "mine");
  CHECK(plan.cases[0].order == 0);
  CHECK(plan.cases[2].roofs == std::vector<int>{1, 3});
  CHECK(plan.cases[3].role == "roof");
  CHECK(plan.cases[3].series == "x");
}

TEST_CASE("identical cases of one series appear once, with a warning") {
  const Plan plan = plan_of(gemm_head + "m = [5, 6, 5]\nthreads = [0, 2]\n");
  CHECK(asked_of(plan).size() == 2);  // threads 0 is 2 here
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0].find("4 cases appear again") == 0);
  CHECK(plan.warnings[0].find("gemm m=5") != std::string::npos);
  const Plan two = plan_of(gemm_head + "series = [\"a\", \"b\"]\n");
  CHECK(asked_of(two).size() == 2);
  CHECK(two.warnings.empty());
}

TEST_CASE("--only keeps noop and the roofs of what is kept") {
  const std::string job = gemm_head + "m = [1, 22]\n[[case]]\nworkload = \"big\"\nlabel = \"L 1\"\n";
  CHECK(repros(plan_of(job, {"gemm*m=22*"})) == std::vector<std::string>{"gemm m=22"});
  CHECK(plan_of(job, {"gemm*m=22*"}).cases.size() == 4);
  CHECK(plan_of(job, {"big"}).cases.size() == 2);
  CHECK(plan_of(job, {"L*"}).cases.size() == 2);
  CHECK(repros(plan_of(job, {"big", "gemm"})).size() == 3);
  const std::string message = message_of([&] { plan_of(job, {"conv*"}); });
  CHECK(message.find("no case matches --only 'conv*'") == 0);
  CHECK(message.find("3 cases, such as 'gemm m=1 ") != std::string::npos);
}

TEST_CASE("threads come from the case, the run, or the cores of the rank's share") {
  CHECK(asked_of(plan_of(gemm_head))[0].threads == 2);
  CHECK(asked_of(plan_of(std::string("run.threads = 3\n") + gemm_head))[0].threads == 3);
  CHECK(asked_of(plan_of(std::string("run.threads = 3\n") + gemm_head + "threads = 1\n"))[0].threads ==
        1);
  CHECK(asked_of(plan_of(std::string("run.threads = 3\n") + gemm_head))[0].repro == "gemm threads=3");
}

TEST_CASE("every case of every plan can be planned again from its repro") {
  const Layout layout = small_layout();
  const Plan plan = plan_of(
      std::string("run.threads = 3\n") + gemm_head +
          "m = [1, 77]\nalpha = [0.1, -3, 1e-300]\npinned = [true, false]\noccupancy = [\"alone\", "
          "\"2\", \"together\"]\n"
          "note = [\"a b\", \"12\", \"true\", \"x,y\", \"q\\\"\\\\ü=\"]\ndtype = [\"f32\", \"f64\"]\n"
          "[[case]]\nworkload = \"spread\"\nwork = [1, 2.5]\n[[case]]\nworkload = \"gpu_only\"\n"
          "[[case]]\nworkload = \"big\"\nmemory = 900000000000\nthreads = 2\n[[case]]\nworkload = "
          "\"noop\"\ndelay = 1\n",
      layout);
  REQUIRE(plan.cases.size() > 300);
  for (const Case& c : plan.cases) {
    CAPTURE(c.repro);
    const Plan again = plan_of_case(c.repro, layout);
    const auto same = std::find_if(again.cases.begin(), again.cases.end(), [&](const Case& other) {
      return other.workload == c.workload && other.params == c.params && other.threads == c.threads &&
             other.occupancy == c.occupancy && other.device == c.device && other.ranks == c.ranks &&
             other.repro == c.repro && other.status == c.status && other.message == c.message;
    });
    REQUIRE(same != again.cases.end());
  }
}

TEST_CASE("the resolved text gives the same plan") {
  const Config config = parse_job(
      std::string("[sampling]\nblocks = 7\n") + gemm_head +
          std::string("n = [4, 3]\nm = [1, 2]\nk = [5, 6]\nzip = [\"k\", \"n\"]\n") + gemm_head +
          "list = [{m = 8, label = \"x\"}, {m = 9, label = \"y\"}]\nrequire = {max_time = 1}\n",
      "job.toml", ".");
  const std::vector<Entry> entries = fake_entries();
  const Plan plan = make_plan(config, small_layout(), entries);
  const Plan again =
      make_plan(parse_job(resolved_text(config), "resolved.toml", "/nowhere"), small_layout(), entries);
  CHECK(plan_to_json(plan) == plan_to_json(again));
}

TEST_CASE("a plan survives JSON, doubles exactly") {
  Plan plan =
      plan_of(gemm_head +
              "m = [3, 2000000]\nn = 2000000\nalpha = 0.1\nlabel = \"ü\"\nrequire = {max_time = 0.3}\n"
              "[[case]]\nworkload = \"gpu_only\"\n");
  plan.budget_s = 0.1 + 0.2;
  plan.cases[1].predicted_s = 1.0 / 3;
  plan.cases[1].budget_s = INFINITY;
  plan.cases[2].status = CaseStatus::completed;
  plan.cases[2].message = "m";
  plan.warnings = {"w"};
  const Plan back = plan_from_json(plan_to_json(plan));
  CHECK(plan_to_json(back) == plan_to_json(plan));
  CHECK(back.budget_s == plan.budget_s);
  CHECK(back.predicted_s == plan.predicted_s);
  CHECK(back.warnings == plan.warnings);
  REQUIRE(back.cases.size() == plan.cases.size());
  for (std::size_t i = 0; i < plan.cases.size(); ++i) {
    const Case &a = plan.cases[i], &b = back.cases[i];
    CHECK((a.id == b.id && a.order == b.order && a.ranks == b.ranks && a.threads == b.threads));
    CHECK((a.workload == b.workload && a.variant == b.variant && a.device == b.device &&
           a.dtype == b.dtype));
    CHECK(
        (a.series == b.series && a.role == b.role && a.label == b.label && a.occupancy == b.occupancy));
    CHECK((a.placement == b.placement && a.params == b.params && a.sampling == b.sampling));
    CHECK((a.cost.flops == b.cost.flops && a.cost.bytes_touched == b.cost.bytes_touched));
    CHECK((a.cost.bytes_sent == b.cost.bytes_sent && a.cost.memory_bytes == b.cost.memory_bytes));
    CHECK((a.cost.items == b.cost.items && a.block_samples == b.block_samples));
    CHECK((a.predicted_s == b.predicted_s && a.budget_s == b.budget_s && a.require == b.require));
    CHECK((a.status == b.status && a.message == b.message && a.repro == b.repro && a.roofs == b.roofs));
  }
  CHECK(message_of([] { plan_from_json("[1"); }).find("can't be read back") != std::string::npos);
}
