// SPDX-License-Identifier: BSD-3-Clause
// Mutated jobs and command lines: each is a plan, or one sentence with exit code 2; never anything else.
// The same mutations in every run; DLSCALE_FUZZ_CASES says how many of each class.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "dlscale_catch.hpp"
#include "fuzz_tools.hpp"

using namespace dlscale;

namespace {

const Words jobs = {
    "[run]\nname = \"n\"\nseed = 7\ntime_budget = \"90s\"\ndevice = \"cpu\"\nthreads = 2\nwatchdog = "
    "60\n"
    "[sampling]\nblocks = 6\ninterleave = true\ninterval = 0.02\nconfidence = 0.95\nwarmup = \"1s\"\n"
    "min_time = 1\nmax_time = \"2min\"\n[[case]]\nworkload = \"gemm\"\nm = [64, 128]\nn = 64\nk = 32\n",
    "[[case]]\nworkload = \"gemm\"\nm = [1, 2, 3]\nn = [4, 5, 6]\nk = [7, 8]\nzip = [\"m\", \"n\"]\n"
    "dtype = [\"f64\", \"f32\"]\noccupancy = [\"alone\", \"together\", 2]\nthreads = [0, 1]\n",
    "[[case]]\nworkload = \"gemm\"\nlist = [{m = 1, n = 2, label = \"a\"}, {m = 3, n = 4, label = "
    "\"b\"}]\n"
    "alpha = 1.5\npinned = true\nseries = \"s\"\nrequire = { min_rate = 0.9, max_time = 1 }\n"
    "[[case]]\nworkload = \"noop\"\ndelay = 0.001\n[[case]]\nworkload = \"spread\"\nwork = 1e9\n",
    "[[case]]\nworkload = \"big\"\nmemory = [1, 1000000000]\nblocks = 8\nmin_time = \"5s\"\nlabel = "
    "\"x\"\n"
    "[[case]]\nworkload = \"gpu_only\"\nm = 3\n"};

const std::vector<Words> lines = {
    {"night", "--plan", "--ranks", "8", "--set", "run.seed=7", "--only", "gemm*"},
    {"--case", "gemm m=64,128 n=64 k=32 dtype=f64 label=\"a b\"", "--threads", "2", "--device", "cpu",
     "-o", "x.h5"},
    {"night", "--set", "gemm.m=[1, 2]", "--set", "case.threads=2", "--set", "sampling.blocks=8",
     "--quiet"},
    {"--case", "noop", "--case", "big memory=1000", "--allow", "singletons,shared-gpu"},
    {"--resume", "run.h5", "--allow", "mixed-binaries"},
    {"--list"}};

const Words extremes = {"0",
                        "-1",
                        "1e308",
                        "-1e308",
                        "9223372036854775807",
                        "-9223372036854775808",
                        "9223372036854775808",
                        "99999999999999999999999",
                        "nan",
                        "inf",
                        "-inf",
                        "0.0",
                        "1e-320",
                        "2147483648",
                        "4294967296",
                        "0x7fffffffffffffff",
                        "1_000_000",
                        "1979-05-27",
                        "07:32:00"};

const Words snippets = {"\"",
                        "\\",
                        "[",
                        "]",
                        "{",
                        "}",
                        "=",
                        "#",
                        "\n",
                        ",",
                        "\"\"\"",
                        "'''",
                        "[[case]]\n",
                        "[run]\n",
                        "m = 1\n",
                        "zip = [\"m\", \"k\"]\n",
                        "list = \"/\"\n",
                        "list = []\n",
                        "require = {}\n",
                        "workload = \"noop\"\n",
                        "zzz = 1\n",
                        "\xff",
                        "\xc3\xbc",
                        "\r",
                        "\t",
                        "m.n = 1\n",
                        "--",
                        "-",
                        "=",
                        "case.m=1",
                        "label=\"",
                        "*",
                        "[*",
                        "occupancy=9",
                        "threads=0"};

// [from, to) of a random run of digits; empty when there is none.
std::pair<std::size_t, std::size_t> number_in(const std::string& text, Dice& dice) {
  const std::size_t start = text.find_first_of("0123456789", dice.below(text.size()));
  if (start == std::string::npos) return {0, 0};
  const std::size_t end = text.find_first_not_of("0123456789.", start);
  return {start, end == std::string::npos ? text.size() : end};
}

void swap_tokens(std::string& text, Dice& dice) {
  const auto token = [&](std::size_t from) {
    const std::size_t start = text.find_first_not_of(" \n=,", from);
    if (start == std::string::npos) return std::pair<std::size_t, std::size_t>{text.size(), text.size()};
    return std::pair<std::size_t, std::size_t>{
        start, std::min(text.size(), text.find_first_of(" \n=,", start))};
  };
  auto a = token(dice.below(text.size())), b = token(dice.below(text.size()));
  if (a.first > b.first) std::swap(a, b);
  if (a.second > b.first) return;
  const std::string left = text.substr(a.first, a.second - a.first),
                    right = text.substr(b.first, b.second - b.first);
  text.replace(b.first, b.second - b.first, left);
  text.replace(a.first, a.second - a.first, right);
}

// Mutations that most often leave a job that can be parsed, so that the steps behind the parser are met
// too.
void mutate_line(std::string& text, Dice& dice) {
  const std::size_t at = dice.below(text.size() + 1);
  const std::size_t start = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  const std::size_t length = std::min(text.find('\n', start), text.size() - 1) + 1 - start;
  const std::string line = text.substr(start, length);
  text.erase(start, length);
  if (dice.below(2) == 0) return;
  const std::size_t target = text.find('\n', dice.below(text.size() + 1));
  text.insert(target == std::string::npos ? text.size() : target + 1, line);
}

void mutate_digit(std::string& text, Dice& dice) {
  const std::size_t at = text.find_first_of("0123456789", dice.below(text.size() + 1));
  if (at != std::string::npos) text[at] = static_cast<char>('0' + dice.below(10));
}

void mutate(std::string& text, Dice& dice) {
  if (text.empty()) text.push_back('x');
  const std::size_t at = dice.below(text.size() + 1),
                    length = std::min(1 + dice.below(30), text.size() - at);
  switch (dice.below(12)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << dice.below(8)));
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      text.insert(dice.below(text.size() + 1), text.substr(at, length));
      break;
    case 3:
      text.insert(at, dice.pick(snippets));
      break;
    case 4:
      swap_tokens(text, dice);
      break;
    case 5:
      text.resize(at);
      break;
    case 6:
    case 7:
      mutate_line(text, dice);
      break;
    case 8:
    case 9:
      mutate_digit(text, dice);
      break;
    default: {
      const auto [from, to] = number_in(text, dice);
      if (to > from) text.replace(from, to - from, dice.pick(extremes));
    }
  }
}

void check(const std::string& result, const std::string& input) {
  if (result.rfind("BROKEN", 0) != 0) return;
  INFO(input);
  FAIL_CHECK(result);
}

/// A folder with one job, gone after the test.
struct JobsFolder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("dlscale_fuzz_" + std::to_string(::getpid()));
  JobsFolder() {
    std::filesystem::create_directories(path);
    std::ofstream(path / "night.toml") << jobs[0];
  }
  ~JobsFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("mutated jobs give a plan or a sentence") {
  Dice dice(1);
  const Layout layout = small_layout();
  for (const std::string& text : jobs)
    REQUIRE(outcome([&] { plan_fully(parse_job(text, "job.toml", "/nowhere"), layout); }).empty());
  int accepted = 0, refused = 0;
  for (int i = 0; i < fuzz_cases(); ++i) {
    std::string text = dice.pick(jobs);
    for (std::size_t n = dice.below(3) + 1; n > 0; --n) mutate(text, dice);
    const std::string result =
        outcome([&] { plan_fully(parse_job(text, "job.toml", "/nowhere"), layout); });
    check(result, text);
    ++(result.empty() ? accepted : refused);
  }
  if (fuzz_cases() < 100) return;
  CHECK(accepted > fuzz_cases() / 50);  // both ways are walked
  CHECK(refused > fuzz_cases() / 10);
}

TEST_CASE("mutated command lines give a plan or a sentence") {
  Dice dice(2);
  const JobsFolder folder;
  int accepted = 0, refused = 0;
  for (int i = 0; i < fuzz_cases(); ++i) {
    Words words = dice.pick(lines);
    for (std::size_t n = dice.below(3) + 1; n > 0; --n) {
      const std::size_t at = dice.below(words.size());
      const std::size_t kind = dice.below(8);
      if (kind == 0)
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
      else if (kind == 1)
        words.push_back(words[at]);
      else if (kind == 2)
        std::swap(words[at], words[dice.below(words.size())]);
      else if (kind == 3)
        words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), dice.pick(dice.pick(lines)));
      else
        mutate(words[at], dice);
      if (words.empty()) words = {"--plan"};
    }
    words.insert(words.begin(), "dlscale");
    const std::string result = outcome([&] {
      const CommandLine line = parse_command_line(words);
      if (line.help || line.version || line.list || !line.resume.empty() || !line.recover.empty())
        return;
      const auto ranks = static_cast<int>(std::clamp<std::int64_t>(line.ranks, 1, 1000));
      plan_fully(load_config(line, folder.path.string()), assume_layout(ranks, 4, 8, 1e10), line.only);
    });
    std::string input;
    for (const std::string& word : words) input += "'" + word + "' ";
    check(result, input);
    ++(result.empty() ? accepted : refused);
  }
  if (fuzz_cases() < 100) return;
  CHECK(accepted > fuzz_cases() / 50);
  CHECK(refused > fuzz_cases() / 10);
}
