// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "config/checked_value.hpp"
#include "config/config.hpp"
#include "config_messages.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;

namespace {

/// A folder of jobs that is gone after the test.
struct JobsFolder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("dlscale_jobs_" + std::to_string(::getpid()));
  JobsFolder() {
    std::filesystem::create_directories(path / "lists");
    write(
        "night.toml",
        "[run]\nseed = 1\n[[case]]\nworkload = \"gemm\"\nm = [1, 2]\nn = [3, 4]\nzip = [\"m\", \"n\"]\n"
        "[[case]]\nworkload = \"gemm\"\nlist = \"lists/x.csv\"\n[[case]]\nworkload = \"noop\"\n");
    write("lists/x.csv", "m,k\n5,6\n7,8\n");
  }
  ~JobsFolder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
  }
};

CommandLine line_of(std::vector<std::string> words) {
  words.insert(words.begin(), "dlscale");
  return parse_command_line(words);
}

const Setting* setting(const CaseRequest& request, const std::string& key) {
  for (const Setting& s : request.settings)
    if (s.key == key) return &s;
  return nullptr;
}

Scalar whole(std::int64_t value) {
  return value;
}

}  // namespace

TEST_CASE("jobs are found as given, with .toml, and in the folder of jobs") {
  const JobsFolder folder;
  const std::string jobs = folder.path.string();
  CHECK(load_config(line_of({"night"}), jobs).job_name == jobs + "/night.toml");
  CHECK(load_config(line_of({"night.toml"}), jobs).cases.size() == 3);
  CHECK(load_config(line_of({jobs + "/night"}), "/nowhere").cases.at(1).rows.size() == 2);
  CHECK(load_config(line_of({}), "/nowhere").job_name == "quick (built in)");
  const std::string message = message_of([&] { load_config(line_of({"nigth"}), jobs); });
  CHECK(message.find("no job file 'nigth'") == 0);
  CHECK(message.find("did you mean 'night'?") != std::string::npos);
  folder.write("empty.toml", "[run]\nseed = 1\n");
  CHECK(message_of([&] { load_config(line_of({"empty"}), jobs); }).find("no [[case]]") !=
        std::string::npos);
}

TEST_CASE("--case adds to a job, and runs alone without one") {
  const JobsFolder folder;
  const Config both = load_config(line_of({"night", "--case", "noop delay=0.5"}), folder.path.string());
  CHECK(both.cases.size() == 4);
  const Config alone =
      load_config(line_of({"--case", R"(gemm m=1,2 dtype=f64 label="a, \"b\" \\" x=1e3 y=true)"}), "");
  REQUIRE(alone.cases.size() == 1);
  const CaseRequest& c = alone.cases[0];
  CHECK(c.workload == "gemm");
  CHECK(setting(c, "m")->values == std::vector<Scalar>{whole(1), whole(2)});
  CHECK(setting(c, "dtype")->values == std::vector<Scalar>{std::string("f64")});
  CHECK(setting(c, "label")->values == std::vector<Scalar>{std::string("a, \"b\" \\")});
  CHECK(setting(c, "x")->values == std::vector<Scalar>{1000.0});
  CHECK(setting(c, "y")->values == std::vector<Scalar>{true});
  CHECK(setting(c, "m")->place.line == 0);
}

TEST_CASE("wrong --case texts are refused") {
  const auto refused = [](const std::string& text) {
    CommandLine line;
    line.cases = {text};
    return message_of([&] { load_config(line, ""); });
  };
  CHECK(refused("  ").find("no workload") != std::string::npos);
  CHECK(refused("gemm m").find("'m' is no key=value") != std::string::npos);
  CHECK(refused("gemm =1").find("key=value") != std::string::npos);
  CHECK(refused("m=1").find("key=value") != std::string::npos);
  CHECK(refused("gemm m=").find("key 'm' has an empty value") != std::string::npos);
  CHECK(refused("gemm m=1,,2").find("key 'm' has an empty value") != std::string::npos);
  CHECK(refused("gemm m=1 m=2").find("key 'm' is given twice") != std::string::npos);
  CHECK(refused("gemm l=\"x").find("quotes of key 'l' are not closed") != std::string::npos);
  CHECK(refused("gemm l=\"x\"y=3").find("'l'") != std::string::npos);
  CHECK(refused("gemm zip=m").find("'zip' can't be given here") != std::string::npos);
  CHECK(refused("gemm l=\xff").find("not UTF-8") != std::string::npos);
}

TEST_CASE("--set overrides sections, workloads and all cases") {
  const JobsFolder folder;
  const auto load = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "night");
    return load_config(line_of(words), folder.path.string());
  };
  CHECK(load({"--set", "run.seed=7"}).run.seed == 7);
  CHECK(load({"--set", "run.time_budget=10min"}).run.time_budget_s == 600);
  CHECK(load({"--set", "run.name=2024"}).run.name == "2024");
  CHECK(load({"--set", "sampling.blocks=8"}).sampling.blocks == 8);
  CHECK(load({"--set", "sampling.interleave=false"}).sampling.interleave == false);
  CHECK(load({"--set", "run.device=cuda", "--device", "cpu", "--threads", "3"}).run.device == "cpu");
  CHECK(load({"--threads", "3"}).run.threads == 3);

  const Config gemm = load({"--set", "gemm.m=512", "--set", "gemm.dtype=f32"});
  CHECK(setting(gemm.cases[0], "m")->values == std::vector<Scalar>{whole(512)});
  CHECK(gemm.cases[0].zip.empty());
  CHECK(setting(gemm.cases[0], "dtype")->values == std::vector<Scalar>{std::string("f32")});
  CHECK_FALSE(gemm.cases[1].rows[0].has("m"));
  CHECK(gemm.cases[1].rows[1].has("k"));
  CHECK(setting(gemm.cases[2], "m") == nullptr);

  CHECK(load({"--set", "gemm.m=[8, 9]"}).cases[0].zip.size() == 1);
  CHECK(setting(load({"--set", "gemm.dtype=f32,f64"}).cases[0], "dtype")->values.size() == 2);
  CHECK(setting(load({"--set", "case.threads=2"}).cases[2], "threads")->values ==
        std::vector<Scalar>{whole(2)});

  const auto refused = [&](const std::string& text) {
    return message_of([&] { load({"--set", text}); });
  };
  CHECK(refused("run.sede=7")
            .find("--set run.sede=7: unknown key 'sede' of [run]; did you mean 'seed'?") == 0);
  CHECK(refused("run.seed=-1").find("key 'seed'") != std::string::npos);
  CHECK(refused("run.seed=").find("key 'seed'") != std::string::npos);
  CHECK(refused("sampling.blocks=[1,2]").find("key 'blocks'") != std::string::npos);
  CHECK(refused("gem.m=1").find("did you mean 'gemm'?") != std::string::npos);
  CHECK(refused("seed=1").find("no section.key=value") != std::string::npos);
  CHECK(refused("run.seed").find("no section.key=value") != std::string::npos);
  CHECK(refused("gemm.zip=m").find("'zip' can't be set here") != std::string::npos);
  CHECK(refused("run.name=\"a\\nb\"").find("key 'name'") != std::string::npos);
}

TEST_CASE("a configuration survives JSON and the resolved text") {
  const JobsFolder folder;
  const Config c = load_config(
      line_of({"night", "--set", "sampling.interval=0.1", "--set", "run.time_budget=0.30000000000000004",
               "--case", R"(gemm label="ü \"x\"" odd:key=1 alpha=0.1,1e300,-0.0)"}),
      folder.path.string());
  CHECK(config_from_json(config_to_json(c)) == c);
  Config back = parse_job(resolved_text(c), "job.toml", "/nowhere");
  CHECK(back.run == c.run);
  CHECK(back.sampling == c.sampling);
  REQUIRE(back.cases.size() == c.cases.size());
  for (std::size_t i = 0; i < c.cases.size(); ++i) {
    CHECK(back.cases[i].workload == c.cases[i].workload);
    CHECK(back.cases[i].zip == c.cases[i].zip);
    CHECK(back.cases[i].rows == c.cases[i].rows);
    REQUIRE(back.cases[i].settings.size() == c.cases[i].settings.size());
    for (std::size_t k = 0; k < c.cases[i].settings.size(); ++k) {
      CHECK(back.cases[i].settings[k].key == c.cases[i].settings[k].key);
      CHECK(back.cases[i].settings[k].values == c.cases[i].settings[k].values);
    }
  }
  CHECK(message_of([] { config_from_json("{}"); }).find("can't be read back") != std::string::npos);
}

TEST_CASE("bare words become the values they look like, and back") {
  const std::vector<Scalar> values = {true,
                                      whole(-5),
                                      1.5,
                                      0.1,
                                      1e300,
                                      std::string("f64"),
                                      std::string("true"),
                                      std::string("12"),
                                      std::string("a b"),
                                      std::string("inf")};
  for (const Scalar& value : values) {
    CommandLine line;
    line.cases = {"w x=" + bare_text(value)};
    CAPTURE(line.cases[0]);
    CHECK(load_config(line, "").cases[0].settings[0].values == std::vector<Scalar>{value});
  }
  CHECK(is_utf8("aü€😀"));
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    CHECK_FALSE(is_utf8(bad));
}
