// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "config/config.hpp"
#include "config_messages.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

std::string message_of_job(const std::string& text) {
  return message_of([&] { parse_job(text, "job.toml", "."); });
}

Config job(const std::string& text) {
  return parse_job(text, "job.toml", ".");
}

}  // namespace

TEST_CASE("every key of [run] and [sampling] is read") {
  const Config c = job(R"([run]
name = "n"
seed = 7
time_budget = "10min"
device = "cpu"
threads = 3
watchdog = "2min"
[sampling]
blocks = 8
interleave = false
interval = 0.05
confidence = 0.9
warmup = "250ms"
min_time = 1.5
max_time = 30
)");
  CHECK(c.run == RunOptions{"n", 7, 600, false, "cpu", 3, 120});
  CHECK(c.sampling == SamplingOptions{8, false, 0.05, 0.9, 0.25, 1.5, 30});
}

TEST_CASE("a job without a name is named after its file, and keeps its text") {
  const std::string text = "[[case]]\nworkload = \"noop\"\n";
  const Config c = parse_job(text, "some/where/night.toml", ".");
  CHECK(c.run.name == "night");
  CHECK(c.job_name == "some/where/night.toml");
  CHECK(c.job_text == text);
}

TEST_CASE("the time budget may come from Slurm") {
  const Config c = job("run.time_budget = \"slurm\"");
  CHECK(c.run.budget_from_slurm);
  CHECK(resolved_text(c).find("time_budget = \"slurm\"") != std::string::npos);
}

TEST_CASE("cases keep their keys in written order, with their lines") {
  const Config c =
      job("[[case]]\nworkload = \"gemm\"\nn = [4, 2]\nk = 3.5\nalpha = true\nb = "
          "\"x\"\n\n[[case]]\nworkload = \"z\"\n");
  REQUIRE(c.cases.size() == 2);
  const auto& s = c.cases[0].settings;
  REQUIRE(s.size() == 4);
  CHECK(s[0] == Setting{"n", {std::int64_t{4}, std::int64_t{2}}, {"job.toml", 3}});
  CHECK(s[1] == Setting{"k", {3.5}, {"job.toml", 4}});
  CHECK(s[2].values == std::vector<Scalar>{true});
  CHECK(s[3].values == std::vector<Scalar>{std::string("x")});
  CHECK(c.cases[0].place == Place{"job.toml", 1});
  CHECK(c.cases[1].place == Place{"job.toml", 8});
}

TEST_CASE("wrong keys and values are refused with file, line, key and what to do") {
  const auto check = [](const std::string& text, const std::vector<std::string>& parts) {
    CAPTURE(text);
    const std::string message = message_of_job(text);
    CAPTURE(message);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(message.find(part) != std::string::npos);
    }
  };
  check("[run]\nsede = 7", {"job.toml:2: unknown key 'sede' of [run]", "did you mean 'seed'?"});
  check("[run]\nqqqqqqqqq = 7", {"job.toml:2", "'qqqqqqqqq'", "valid: name, seed"});
  check("[rum]\nseed = 7", {"job.toml:1: unknown section or key 'rum'", "did you mean 'run'?"});
  check("run = 3", {"job.toml:1: 'run' can't hold a single value", "[run]"});
  check("[run]\nseed = \"x\"", {"job.toml:2: key 'seed' of [run] can't be the string \"x\"", "integer"});
  check("[run]\nseed = -1", {"job.toml:2: key 'seed'", "-1", "from 0"});
  check("[run]\nseed = 1.5", {"job.toml:2: key 'seed'", "1.5", "integer"});
  check("[run]\nseed = [1]", {"job.toml:2: key 'seed' of [run] can't hold an array"});
  check("[run]\nseed = 2020-01-01", {"job.toml:2: key 'seed'", "a date"});
  check("[run]\nname = \"\"", {"job.toml:2: key 'name'"});
  check("[run]\nname = 3", {"job.toml:2: key 'name'", "string"});
  check("[run]\ntime_budget = \"soon\"", {"job.toml:2: key 'time_budget'", "\"soon\"", "\"90s\""});
  check("[run]\ntime_budget = -3", {"job.toml:2: key 'time_budget'", "-3"});
  check("[run]\ntime_budget = nan", {"job.toml:2: key 'time_budget'", "nan"});
  check("[run]\ntime_budget = inf", {"job.toml:2: key 'time_budget'", "inf"});
  check("[run]\ndevice = \"cudda\"", {"job.toml:2: key 'device'", "did you mean 'cuda'?"});
  check("[run]\nthreads = 1000000", {"job.toml:2: key 'threads'", "from 0 to 4096"});
  check("[run]\nwatchdog = 0", {"job.toml:2: key 'watchdog'"});
  check("[sampling]\nblocks = 0", {"job.toml:2: key 'blocks' of [sampling]", "from 1"});
  check("[sampling]\ninterleave = 1", {"job.toml:2: key 'interleave'", "true or false"});
  check("[sampling]\ninterval = 0", {"job.toml:2: key 'interval'"});
  check("[sampling]\nconfidence = 1", {"job.toml:2: key 'confidence'", "0.999"});
  check("[sampling]\nmin_time = 5\nmax_time = 2",
        {"job.toml: min_time of [sampling] is more than its max_time"});
  check("[run]\nseed = 1\nseed = 2", {"job.toml:3: "});
  check("[run\nseed = 1", {"job.toml:1: "});
  check("[run]\nseed = 99999999999999999999", {"job.toml:2: "});
  check("[case]\nworkload = \"gemm\"", {"job.toml:1: 'case' must be written as [[case]]"});
  check("case = [1]", {"job.toml:1: 'case' must be written as [[case]]"});
  check("[[case]]\nm = 1", {"job.toml:1: [[case]] has no key 'workload'"});
  check("[[case]]\nworkload = [\"a\", \"b\"]",
        {"job.toml:2: key 'workload'", "one [[case]] per workload"});
  check("[[case]]\nworkload = \"a\"\nm = []", {"job.toml:3: key 'm'", "empty array"});
  check("[[case]]\nworkload = \"a\"\nm = [[1]]", {"job.toml:3: key 'm'", "an array"});
  check("[[case]]\nworkload = \"a\"\nm.n = 1", {"job.toml:3: key 'm'", "a table"});
  check("[[case]]\nworkload = \"a\"\nm = inf", {"job.toml:3: key 'm'", "inf"});
  check("\xff", {"job.toml: the job is not UTF-8 text"});
}

TEST_CASE("zip refuses what it can't pair") {
  const std::string head = "[[case]]\nworkload = \"gemm\"\nm = [1, 2]\nn = [1, 2, 3]\nk = [4, 5]\n";
  CHECK(job(head + "zip = [\"m\", \"k\"]").cases[0].zip ==
        std::vector<std::vector<std::string>>{{"m", "k"}});
  CHECK(job(head + "l = [1, 2, 3]\nzip = [[\"m\", \"k\"], [\"n\", \"l\"]]").cases[0].zip.size() == 2);
  const std::string unequal = message_of_job(head + "zip = [\"m\", \"n\"]");
  CHECK(unequal.find("'m' with 'n'") != std::string::npos);
  CHECK(unequal.find("m has 2 values and n has 3") != std::string::npos);
  CHECK(message_of_job(head + "zip = [\"m\", \"q\"]").find("names 'q'") != std::string::npos);
  CHECK(message_of_job(head + "zip = [\"m\"]").find("at least two names") != std::string::npos);
  CHECK(message_of_job(head + "zip = [[\"m\", \"k\"], [\"k\", \"m\"]]").find("twice") !=
        std::string::npos);
  CHECK(message_of_job(head + "zip = \"m\"").find("job.toml:6: key 'zip'") != std::string::npos);
  CHECK(message_of_job(head + "zip = [[\"m\", \"k\"], \"k\"]").find("key 'zip'") != std::string::npos);
}

TEST_CASE("require takes known names and numbers in their range") {
  const std::string head = "[[case]]\nworkload = \"gemm\"\n";
  const Config c = job(head + "require = { min_rate = 0.9, max_time = 2, min_flops = 1e12 }");
  CHECK(c.cases[0].require ==
        std::map<std::string, double>{{"min_rate", 0.9}, {"max_time", 2}, {"min_flops", 1e12}});
  const auto message = [&](const char* text) { return message_of_job(head + "require = " + text); };
  CHECK(message("{ min_rat = 0.9 }")
            .find("job.toml:3: unknown key 'min_rat' of 'require'; did you mean 'min_rate'?") !=
        std::string::npos);
  CHECK(message("{ min_rate = 90 }").find("key 'min_rate'") != std::string::npos);
  CHECK(message("{ max_time = \"2s\" }").find("key 'max_time'") != std::string::npos);
  CHECK(message("{ max_time = 0 }").find("above 0") != std::string::npos);
  CHECK(message("{ min_efficiency = 1.5 }").find("key 'min_efficiency'") != std::string::npos);
  CHECK(message("{ min_flops = -1 }").find("key 'min_flops'") != std::string::npos);
  CHECK(message("{ min_flops = [1] }").find("key 'min_flops'") != std::string::npos);
  CHECK(message("0.9").find("key 'require'") != std::string::npos);
}

TEST_CASE("list files are read with their lines, and refused with them") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("dlscale_lists_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder / "lists");
  const auto with_list = [&](const std::string& csv) {
    std::ofstream(folder / "lists/x.csv", std::ios::binary) << csv;
    return parse_job("[[case]]\nworkload = \"gemm\"\nlist = \"lists/x.csv\"\nbeta = 1.0\n", "job.toml",
                     folder.string());
  };
  const auto message = [&](const std::string& csv) { return message_of([&] { with_list(csv); }); };

  const Config c =
      with_list("\xEF\xBB\xBF# a comment\r\n\r\nm, n,label\r\n1,2.5,\"7\"\r\n# x\n3,true,DS out\n");
  const CaseRequest& request = c.cases.at(0);
  REQUIRE(request.rows.size() == 2);
  CHECK(request.list_file == "lists/x.csv");
  CHECK(request.rows[0].at("m") == Scalar(std::int64_t{1}));
  CHECK(request.rows[0].at("n") == Scalar(2.5));
  CHECK(request.rows[0].at("label") == Scalar(std::string("7")));
  CHECK(request.rows[1].at("n") == Scalar(true));
  CHECK(request.rows[1].at("label") == Scalar(std::string("DS out")));
  CHECK(request.row_places[0] == Place{"lists/x.csv", 4});
  CHECK(request.row_places[1] == Place{"lists/x.csv", 6});

  CHECK(message("m,n\n1,2\n3\n").find("lists/x.csv:3: row of the list has 1 values for 2 columns") == 0);
  CHECK(message("m,n\n1,2,3\n").find("lists/x.csv:2: row of the list has 3 values") == 0);
  CHECK(message("m,n\n1,\n").find("lists/x.csv:2: column 'n' of the list is empty") == 0);
  CHECK(message("m,n\n").find("lists/x.csv:1: the list is empty") == 0);
  CHECK(message("").find("the list is empty") != std::string::npos);
  CHECK(message("m,m\n1,2\n").find("lists/x.csv:1: column 'm' of the list appears twice") == 0);
  CHECK(message("m,\n1,2\n").find("lists/x.csv:1: a column of the list has no name") == 0);
  CHECK(message("m,beta\n1,2\n").find("job.toml:4: key 'beta' of [[case]] is also a column") == 0);
  CHECK(message("m,workload\n1,x\n").find("'workload' can't be a column") != std::string::npos);
  CHECK(message("\x89HDF\r\n").find("HDF5") != std::string::npos);
  CHECK(message("m\n\xff\n").find("not UTF-8") != std::string::npos);
  std::filesystem::remove(folder / "lists/x.csv");
  const std::string missing = message_of([&] {
    parse_job("[[case]]\nworkload = \"gemm\"\nlist = \"lists/x.csv\"\n", "job.toml", folder.string());
  });
  CHECK(missing.find("job.toml:3: can't read the list '") == 0);
  CHECK(missing.find("lists/x.csv'") != std::string::npos);
  CHECK(missing.find("No such file") != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_CASE("the built-in job has every case of scaling-quick") {
  const Config quick = parse_job(quick_job_text(), "quick (built in)", ".");
  CommandLine line;
  line.job = "scaling-quick";
  const Config scaling = load_config(line, DLSCALE_SOURCE_DIR "/jobs");
  REQUIRE(scaling.cases.size() == 5);
  const auto same = [](const CaseRequest& a, const CaseRequest& b) {
    return a.workload == b.workload &&
           std::equal(a.settings.begin(), a.settings.end(), b.settings.begin(), b.settings.end(),
                      [](const Setting& x, const Setting& y) {
                        return x.key == y.key && x.values == y.values;
                      });
  };
  for (const CaseRequest& request : scaling.cases) {
    INFO(request.workload);
    CHECK(std::any_of(quick.cases.begin(), quick.cases.end(),
                      [&](const CaseRequest& other) { return same(request, other); }));
  }
}

TEST_CASE("the built-in job and the defaults are jobs") {
  const Config quick = parse_job(quick_job_text(), "quick (built in)", ".");
  CHECK_FALSE(quick.cases.empty());
  CHECK(quick.run.name == "quick");
  const Config defaults = parse_job(dump_default(), "quick (built in)", ".");
  CHECK(defaults.run == RunOptions{});
  CHECK(defaults.sampling == SamplingOptions{});
  for (const char* key :
       {"name =", "seed =", "time_budget =", "device =", "threads =", "watchdog =", "blocks =",
        "interleave =", "interval =", "confidence =", "warmup =", "min_time =", "max_time ="})
    CHECK(dump_default().find(std::string("\n") + key) != std::string::npos);
}
