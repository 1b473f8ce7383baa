// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "record/lock_file.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::Error;
using dlscale::ExitCode;
using dlscale::RunFile;

namespace {

/// Message and code of the error that creating `path` ends with; empty if it succeeds.
std::string refusal(const std::string& path, ExitCode expected = ExitCode::output_failed) {
  try {
    RunFile::create(path, sample_spec())->close("completed");
  } catch (const Error& error) {
    CHECK(error.exit_code() == expected);
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A child that holds the lock beside `path` until it is killed.
pid_t child_holding_lock(const std::string& path) {
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto lock = dlscale::LockFile::acquire(path);
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(0);
  }
  char byte;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  close(ready[1]);
  return child;
}

}  // namespace

TEST_CASE("an existing file is never overwritten") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  std::ofstream(path) << "precious";
  const std::string message = refusal(path);
  CHECK(contains(message, path));
  CHECK(contains(message, "--resume"));
  CHECK(contains(message, "-o"));
  std::ifstream file(path);
  std::string content;
  file >> content;
  CHECK(content == "precious");
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST_CASE("a place that can't be written is refused with its reason") {
  const TemporaryFolder folder;
  CHECK(contains(refusal(folder.file("missing/run.h5")), "No such file or directory"));
  std::ofstream(folder.file("file")) << "x";
  CHECK(contains(refusal(folder.file("file/run.h5")), "no folder"));
  if (geteuid() != 0) {
    std::filesystem::create_directory(folder.file("closed"));
    chmod(folder.file("closed").c_str(), 0500);
    CHECK(contains(refusal(folder.file("closed/run.h5")), "Permission denied"));
  } else {
    CHECK(contains(refusal("/proc/run.h5"), "/proc"));  // root may write anywhere else
  }
  CHECK(refusal(folder.file("run.h5")).empty());
}

TEST_CASE("a file that another process writes is refused, naming it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  const pid_t child = child_holding_lock(path);
  const std::string message = refusal(path);
  CHECK(contains(message, "process " + std::to_string(child)));
  CHECK(std::filesystem::exists(path + ".lock"));  // a refused one must not remove it
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(contains(dlscale::lock_holder(path), std::to_string(child)));

  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(std::filesystem::exists(path + ".lock"));  // stale
  CHECK(dlscale::lock_holder(path).empty());
  CHECK(refusal(path).empty());
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST_CASE("while a file is written, a second run on it and a resume are refused") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  CHECK(std::filesystem::exists(path + ".lock"));
  CHECK(contains(refusal(path), "being written by process " + std::to_string(getpid())));
  CHECK_THROWS_AS(RunFile::inspect(path), Error);
  CHECK_THROWS_AS(RunFile::recover(path), Error);
  file->append(small_case, sample_rows(small_case, 0, 2));
  file->close("completed");
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
  CHECK(contains(refusal(path), "it exists"));
}

TEST_CASE("a file left open by an exception is closed as interrupted") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  {
    auto file = RunFile::create(path, sample_spec());
    file->append(small_case, sample_rows(small_case, 0, 2));
  }
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(read_text(opened.id(), "/status") == "interrupted");
  CHECK(wrong_samples(opened.id(), small_case, 2) == "");
}

TEST_CASE("what is no run file is refused by inspect and recover and left alone") {
  const TemporaryFolder folder;
  const std::string path = folder.file("notes.txt");
  std::ofstream(path)
      << "not HDF5 at all, but long enough to be read as a superblock by a careless reader .....";
  for (const bool recover : {false, true}) {
    try {
      recover ? (void)RunFile::recover(path) : (void)RunFile::inspect(path);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.exit_code() == ExitCode::bad_input);
      CHECK(contains(error.what(), "no run file"));
    }
  }
  CHECK_THROWS_AS(RunFile::inspect(folder.file("absent.h5")), Error);
  const hid_t other = H5Fcreate(folder.file("other.h5").c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(other);
  CHECK_THROWS_AS(RunFile::inspect(folder.file("other.h5")), Error);
}
