// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/error.hpp"
#include "config/config.hpp"
#include "config_messages.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;
using Words = std::vector<std::string>;

namespace {

CommandLine parse(Words words) {
  words.insert(words.begin(), "dlscale");
  return parse_command_line(words);
}

std::string refused(const Words& words) {
  return message_of([&] { parse(words); });
}

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  CHECK(text.find(part) != std::string::npos);
  return true;
}

}  // namespace

TEST_CASE("every option is read") {
  const CommandLine c = parse({"job.toml",
                               "-o",
                               "x.h5",
                               "--device",
                               "cpu",
                               "--threads",
                               "4",
                               "--set",
                               "run.seed=7",
                               "--set",
                               "gemm.m=[1, 2]",
                               "--only",
                               "gemm*",
                               "--case",
                               "gemm m=1",
                               "--case",
                               "noop",
                               "--allow",
                               "singletons,shared-gpu",
                               "--allow",
                               "mixed-binaries",
                               "--plan",
                               "--ranks",
                               "1024",
                               "--quiet"});
  CHECK(c.job == "job.toml");
  CHECK(c.output == "x.h5");
  CHECK(c.device == "cpu");
  CHECK(c.threads == 4);
  CHECK(c.sets == Words{"run.seed=7", "gemm.m=[1, 2]"});
  CHECK(c.only == Words{"gemm*"});
  CHECK(c.cases == Words{"gemm m=1", "noop"});
  CHECK(c.allow == Words{"singletons", "shared-gpu", "mixed-binaries"});
  CHECK(c.plan);
  CHECK(c.ranks == 1024);
  CHECK(c.quiet);
  CHECK(c.argv.size() == 26);
  CHECK(parse({"--resume", "r.h5"}).resume == "r.h5");
  CHECK(parse({"--recover=r.h5"}).recover == "r.h5");
  CHECK(parse({"--list"}).list);
  CHECK(parse({"--dump-default"}).dump_default);
  CHECK(parse({"--selftest", "--threads", "1"}).selftest);
  CHECK(parse({"--version"}).version);
  CHECK(parse({}).job.empty());
}

TEST_CASE("a list option takes one value, not the job behind it") {
  const CommandLine c = parse({"--set", "run.seed=7", "job.toml"});
  CHECK(c.sets == Words{"run.seed=7"});
  CHECK(c.job == "job.toml");
}

TEST_CASE("help fits 80 columns and explains every option") {
  const std::string help = parse({"--help"}).help_text + "\n";
  for (const char* option : {"JOB",     "-o,--output", "--device", "--threads",      "--set",
                             "--only",  "--case",      "--ranks",  "--resume",       "--recover",
                             "--allow", "--plan",      "--list",   "--dump-default", "--selftest",
                             "--quiet", "--help",      "--man",    "--version",      "Exit codes"})
    has(help, option);
  std::size_t longest = 0, start = 0;
  for (std::size_t end = help.find('\n'); end != std::string::npos;
       start = end + 1, end = help.find('\n', start))
    longest = std::max(longest, end - start);
  INFO(help);
  CHECK(longest <= 80);
}

TEST_CASE("the manual page has every option, key, requirement and exit code, in ASCII") {
  const CommandLine line = parse({"--man"});
  CHECK(line.help);
  const std::string& page = line.help_text;
  CHECK(page.find(".TH DLSCALE 1 ") != std::string::npos);
  CHECK(
      std::all_of(page.begin(), page.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  for (const char* text : {".TP\n\\fB\\-o, \\-\\-output\\fR \\fIFILE\\fR\n", ".TP\n\\fB\\-\\-plan\\fR\n",
                           ".TP\n\\fBsampling.blocks\\fR \\fI= 6\\fR\n", ".TP\n\\fBmin_rate\\fR\n",
                           ".TP\n\\fB128+n\\fR\nended by signal n\n"})
    has(page, text);
  // No text begins with what roff takes for a request.
  for (std::size_t at = page.find("\n'"); at != std::string::npos; at = page.find("\n'", at + 1))
    FAIL(page.substr(at, 40));
}

TEST_CASE("unknown options name the nearest") {
  has(refused({"--plam"}), "unknown option '--plam'; did you mean '--plan'?");
  has(refused({"--thread=4"}), "unknown option '--thread'; did you mean '--threads'?");
  has(refused({"--wibblewobble"}), "see --help");
  has(refused({"a.toml", "b.toml"}), "'b.toml' is left over");
}

TEST_CASE("wrong values are refused with the option") {
  has(refused({"--threads", "x"}), "--threads can't be 'x' (it takes an integer from 0 to 4096)");
  has(refused({"--threads", "-2"}), "--threads can't be '-2'");
  has(refused({"--threads", "1.5"}), "--threads can't be '1.5'");
  has(refused({"--threads"}), "--threads");
  has(refused({"--plan", "--ranks", "0"}), "--ranks can't be '0'");
  has(refused({"--plan", "--ranks", "99999999999999999999"}), "--ranks can't be");
  has(refused({"--device", "gpu"}), "--device can't be 'gpu'");
  has(refused({"--device", "cudda"}), "did you mean 'cuda'?");
  has(refused({"--allow", "singleton"}), "--allow can't be 'singleton'; did you mean 'singletons'?");
  has(refused({"-o", ""}), "--output is empty");
  has(refused({"-o", "a", "-o", "b"}), "--output");
  has(refused({"--plan=3"}), "--plan");
}

TEST_CASE("contradictions are refused, naming both options") {
  has(refused({"--ranks", "4"}), "--ranks needs --plan");
  for (const Words& other : std::vector<Words>{{"-o", "x.h5"}, {"--only", "x"}})
    has(refused({"--resume", "r.h5", other[0], other[1]}),
        "--resume and " + other[0] + " exclude each other");
  // A job beside --resume is compared with the one in the file, when the file is read.
  CHECK(refused({"--resume", "r.h5", "job.toml", "--set", "run.seed=1"}).empty());
  has(refused({"--resume", "r.h5", "--plan"}), "--resume and --plan exclude");
  has(refused({"--recover", "r.h5", "--selftest"}), "--recover and --selftest exclude");
  has(refused({"--recover", "r.h5", "job.toml"}), "--recover and a job file exclude");
  has(refused({"--recover", "r.h5", "--resume", "s.h5"}), "exclude each other");
  has(refused({"--list", "--plan"}), "--list and --plan exclude");
  has(refused({"--dump-default", "--case", "noop"}), "--dump-default and --case exclude");
  CHECK(refused({"--plan", "job.toml", "--case", "noop", "-o", "x.h5"}).empty());
  CHECK(refused({"--resume", "r.h5", "--allow", "singletons", "--quiet"}).empty());
}
