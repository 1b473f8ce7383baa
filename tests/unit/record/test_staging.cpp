// SPDX-License-Identifier: BSD-3-Clause
// On a network file system the run is written in node-local storage and copied to its place.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "record/staging.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::RunFile;

namespace {

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path().string());
  return files;
}

}  // namespace

TEST_CASE("copies take at most one per cent of the elapsed time") {
  dlscale::CopyBudget budget(0);
  CHECK(budget.allows(0, 1000));  // the first: nothing is known yet
  budget.took(1'000'000, 1000);   // 1 ms: another one makes 2 ms, that needs 200 ms
  CHECK_FALSE(budget.allows(199'000'000, 1000));
  CHECK(budget.allows(200'000'000, 1000));
  CHECK_FALSE(budget.allows(200'000'000, 2000));  // twice the size: 3 ms in all
  CHECK(budget.allows(300'000'000, 2000));
}

TEST_CASE("a copy appears whole, and replaces only when told to") {
  const TemporaryFolder folder;
  std::ofstream(folder.file("a")) << "new";
  std::ofstream(folder.file("b")) << "old";
  CHECK_THROWS_AS(dlscale::publish_copy(folder.file("a"), folder.file("b"), dlscale::Replace::no),
                  dlscale::Error);
  CHECK(std::filesystem::file_size(folder.file("b")) == 3);
  CHECK(files_in(folder.path()).size() == 2);  // no unfinished copy is left
  dlscale::publish_copy(folder.file("a"), folder.file("b"), dlscale::Replace::yes);
  dlscale::publish_copy(folder.file("a"), folder.file("c"), dlscale::Replace::no);
  for (const char* name : {"b", "c"}) {
    std::string content;
    std::ifstream(folder.file(name)) >> content;
    CHECK(content == "new");
  }
}

TEST_CASE("a staged run stands in its place from the start and is complete at the end") {
  const TemporaryFolder folder, local;
  const ScopedVariable hook("DLSCALE_TEST_STAGE", "1"), temporary("TMPDIR", local.path());
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  CHECK(files_in(local.path()).size() == 1);
  {
    const OpenFile opened(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ);
    REQUIRE(opened.opened());
    CHECK(read_text(opened.id(), "/status") == "running");
  }
  CHECK_THROWS_AS(RunFile::create(path, sample_spec()), dlscale::Error);
  file->append(full_case, sample_rows(full_case, 0, 9));
  file->flush();
  CHECK(file->bytes_written() > 0);
  file->close("completed");
  CHECK(files_in(local.path()).empty());
  CHECK(files_in(folder.path()) == std::vector<std::string>{path});
  {
    const OpenFile opened(path);
    REQUIRE(opened.opened());
    CHECK(wrong_samples(opened.id(), full_case, 9) == "");
    CHECK(read_text(opened.id(), "/status") == "completed");
  }
  auto again = RunFile::reopen(path, sample_spec(), {});
  CHECK(files_in(local.path()).size() == 1);
  again->append(full_case, sample_rows(full_case, 9, 2));
  again->close("completed");
  CHECK(files_in(local.path()).empty());
  const OpenFile opened(path);
  CHECK(wrong_samples(opened.id(), full_case, 11) == "");
}

TEST_CASE("an existing file is not replaced by a staged run") {
  const TemporaryFolder folder, local;
  const ScopedVariable hook("DLSCALE_TEST_STAGE", "1"), temporary("TMPDIR", local.path());
  std::ofstream(folder.file("run.h5")) << "precious";
  CHECK_THROWS_AS(RunFile::create(folder.file("run.h5"), sample_spec()), dlscale::Error);
  CHECK(std::filesystem::file_size(folder.file("run.h5")) == 8);
  CHECK(files_in(local.path()).empty());
}

TEST_CASE("after a kill, recover takes what the staged file has more") {
  const TemporaryFolder folder, local;
  const ScopedVariable hook("DLSCALE_TEST_STAGE", "1"), temporary("TMPDIR", local.path());
  const std::string path = folder.file("run.h5");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto file = RunFile::create(path, sample_spec());
    for (int sample = 0; sample < 40; ++sample) {  // too fast for a copy after each
      file->append(wide_case, sample_rows(wide_case, sample, 1));
      file->flush();
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(files_in(local.path()).size() == 1);
  CHECK(std::filesystem::file_size(path) < std::filesystem::file_size(files_in(local.path())[0]));
  RunFile::recover(path);
  CHECK(files_in(local.path()).empty());
  CHECK(files_in(folder.path()) == std::vector<std::string>{path});
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(wrong_samples(opened.id(), wide_case, 40) == "");
  CHECK(read_text(opened.id(), "/status") == "interrupted");
}
