// SPDX-License-Identifier: BSD-3-Clause
// jobs/fetch-data.sh without a network: mirrors are folders. Nothing here can have the right check sums,
// so where a good file is needed, md5sum is replaced by a program that believes what a file says.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;
using namespace dlscale::nn;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> mnist_sums = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"};

struct Run {
  int code = -1;
  std::string text;  // both streams
};

Run fetch(const std::string& arguments, const std::string& path = "") {
  const std::string command = (path.empty() ? "" : "PATH='" + path + "':\"$PATH\" ") +
                              std::string("bash '" DLSCALE_SOURCE_DIR "/jobs/fetch-data.sh' ") +
                              arguments + " 2>&1 </dev/null";
  Run run;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) run.text.append(buffer, n);
  const int status = ::pclose(pipe);
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return run;
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

void write_text(const std::string& path, const std::string& text) {
  write_bytes(path, Bytes(text.begin(), text.end()));
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("fetch-data.sh explains itself and refuses nonsense") {
  const ScratchFolder folder;
  const std::string target = folder / "x";
  CHECK(fetch("--help").code == 0);
  CHECK(contains(fetch("--help").text, "usage: fetch-data.sh"));
  const std::vector<std::string> wrong = {
      "",          "mnist",   "letters " + quoted(target), "--fast mnist " + quoted(target),
      "mnist a b", "--mirror"};
  for (const std::string& arguments : wrong) CHECK(fetch(arguments).code == 2);
  CHECK_FALSE(fs::exists(target));
}

TEST_CASE("fetch-data.sh keeps no file whose check sum differs") {
  const ScratchFolder folder;
  fs::create_directory(folder.path / "mirror");
  for (const std::string& name : four_files)
    write_text(folder / ("mirror/" + name + ".gz"), "not MNIST");
  const std::string target = folder / "target";
  for (const std::string set : {"mnist", "fashion-mnist"}) {
    const Run run =
        fetch("--mirror " + quoted("file://" + (folder / "mirror")) + " " + set + " " + quoted(target));
    CHECK(run.code == 1);
    CHECK(contains(run.text, "can't get train-images-idx3-ubyte.gz of " + set));
    CHECK(contains(run.text, "another file (MD5 "));
    CHECK(names_in(target).empty());
  }
  // Nothing at the mirror, and one that does not answer.
  for (const std::string& mirror : {"file://" + (folder / "none"), std::string("http://127.0.0.1:9")}) {
    const Run run = fetch("--mirror " + quoted(mirror) + " mnist " + quoted(target));
    CHECK(run.code == 1);
    CHECK(contains(run.text,
                   "fetch-data.sh: can't get train-images-idx3-ubyte.gz of mnist (" + mirror + ": "));
    CHECK(names_in(target).empty());
  }
}

TEST_CASE("fetch-data.sh leaves what is there alone, and goes on where it stopped") {
  const ScratchFolder folder;
  fs::create_directories(folder.path / "bin");
  write_text(folder / "bin/md5sum", "#!/bin/sh\nread -r line\necho \"$line  -\"\n");
  fs::permissions(folder.path / "bin/md5sum", fs::perms::owner_all);
  fs::create_directory(folder.path / "mirror");
  fs::create_directory(folder.path / "bad");
  for (std::size_t i = 0; i < 4; ++i) {
    write_text(folder / ("mirror/" + four_files[i] + ".gz"), mnist_sums[i] + "\n");
    write_text(folder / ("bad/" + four_files[i] + ".gz"), "elsewhere\n");
  }
  const std::string target = folder / "target", bin = folder / "bin";
  const std::string command = "--mirror " + quoted("file://" + (folder / "bad")) + " --mirror " +
                              quoted("file://" + (folder / "mirror")) + " mnist " + quoted(target);
  Run run = fetch(command, bin);
  CHECK(run.code == 0);
  CHECK(contains(run.text, "4 files fetched, 0 were there"));
  REQUIRE(names_in(target).size() == 4);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(read_bytes(target + "/" + four_files[i] + ".gz") ==
          read_bytes(folder / ("mirror/" + four_files[i] + ".gz")));

  const std::string one = target + "/" + four_files[2] + ".gz";
  fs::remove(one);
  const auto untouched = fs::last_write_time(target + "/" + four_files[0] + ".gz");
  run = fetch(command, bin);
  CHECK(run.code == 0);
  CHECK(contains(run.text, "1 files fetched, 3 were there"));
  CHECK(fs::last_write_time(target + "/" + four_files[0] + ".gz") == untouched);

  write_text(one, "mine\n");
  run = fetch(command, bin);
  CHECK(run.code == 1);
  CHECK(contains(run.text, "is there but is not mnist's"));
  CHECK(read_bytes(one).size() == 5);
}

TEST_CASE("fetch-data.sh never mixes published images with others") {
  for (const char* other : {"SYNTHETIC.txt", "t10k-labels-idx1-ubyte"}) {
    const ScratchFolder folder;
    write_text(folder / other, "x");
    const Run run = fetch("--mirror file:///nowhere mnist " + quoted(folder.path.string()));
    CHECK(run.code == 1);
    CHECK(contains(run.text, other));
    CHECK(contains(run.text, "choose another folder"));
    CHECK(names_in(folder.path.string()).size() == 1);
  }
}
