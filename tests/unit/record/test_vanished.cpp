// SPDX-License-Identifier: BSD-3-Clause
// A file that loses its name, and copies to a network file system that fail, while a run is written.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::Error;
using dlscale::ExitCode;
using dlscale::RunFile;

namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

/// What flush() or close() threw.
template <class Action>
std::string said(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.exit_code() == ExitCode::output_failed);
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a file that was removed, moved or replaced is kept elsewhere") {
  for (const bool at_the_end : {false, true})
    for (const std::string how : {"removed", "moved", "replaced"}) {
      const TemporaryFolder folder, local;
      const ScopedVariable temporary("TMPDIR", local.path());
      const std::string path = folder.file("run.h5");
      auto file = RunFile::create(path, sample_spec());
      file->append(full_case, sample_rows(full_case, 0, 9));
      if (at_the_end) file->flush();
      if (how == "moved")
        std::filesystem::rename(path, folder.file("other.h5"));
      else
        std::filesystem::remove(path);
      if (how == "replaced") std::ofstream(path) << "another's";
      const std::string text = said([&] { at_the_end ? file->close("completed") : file->flush(); });
      INFO(how << ": " << text);
      CHECK(holds(text,
                  how == "replaced" ? "another file has taken its place" : "No such file or directory"));
      CHECK(file->broken());
      file.reset();
      REQUIRE(names_in(local.path()).size() == 1);
      const std::string kept = local.file(names_in(local.path())[0]);
      CHECK(holds(text, "kept in " + kept + "; go on with --resume " + kept));
      if (how == "replaced") CHECK(std::filesystem::file_size(path) == 9);
      if (!at_the_end) RunFile::recover(kept);
      const OpenFile opened(kept);  // plainly, where it was closed
      REQUIRE(opened.opened());
      CHECK(wrong_samples(opened.id(), full_case, 9) == "");
    }
}

TEST_CASE("a staged run outlives copies that fail, and says so once") {
  const TemporaryFolder folder, local;
  const ScopedVariable hook("DLSCALE_TEST_STAGE", "1"), temporary("TMPDIR", local.path());
  const std::string path = folder.file("run.h5"), obstacle = path + ".part";
  auto file = RunFile::create(path, sample_spec());
  std::filesystem::create_directory(obstacle);  // where the copy is made
  int warnings = 0, samples = 0;
  const auto work = [&](int until) {
    file->append(small_case, sample_rows(small_case, samples++, 1));
    file->flush();
    if (!file->take_warning().empty()) ++warnings;
    usleep(5000);
    return samples < until;
  };
  // Copies may take one per cent of the time: a slow machine comes to the next one later.
  while (warnings == 0 && work(12000)) {
  }
  const int more = 2 * samples;
  while (work(more)) {
  }
  CHECK(warnings == 1);
  CHECK_FALSE(file->broken());
  std::filesystem::remove(obstacle);
  file->close("completed");
  CHECK(names_in(local.path()).empty());
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(wrong_samples(opened.id(), small_case, samples) == "");
}

TEST_CASE("when the last copy fails, the staged file is kept, closed, and adopted later") {
  const TemporaryFolder folder, local;
  const ScopedVariable hook("DLSCALE_TEST_STAGE", "1"), temporary("TMPDIR", local.path());
  const std::string path = folder.file("run.h5"), obstacle = path + ".part";
  int status = 0;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // leaves as the program does: its lock file stays
    auto file = RunFile::create(path, sample_spec());
    file->append(full_case, sample_rows(full_case, 0, 9));
    std::filesystem::create_directory(obstacle);
    std::string why;
    const bool closed = file->close_from_other_thread("interrupted", 1, -1, {}, &why);
    _exit(!closed && holds(why, "can't copy") && file->broken() ? 5 : 1);
  }
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
  REQUIRE(names_in(local.path()).size() == 1);
  std::filesystem::remove(obstacle);
  CHECK(RunFile::adopt_staged(path).empty());
  CHECK(names_in(local.path()).empty());
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(wrong_samples(opened.id(), full_case, 9) == "");
}

TEST_CASE("what another host has of a file is told, and left to it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  RunFile::create(path, sample_spec())->close("interrupted");
  CHECK(RunFile::adopt_staged(path).empty());
  std::ofstream(path + ".lock") << "n17 123 /tmp/dlscale-abcdef-run.h5\n";
  const std::string text = RunFile::adopt_staged(path);
  CHECK(holds(text, "may lack the last blocks"));
  CHECK(holds(text, "/tmp/dlscale-abcdef-run.h5 of host n17"));
  CHECK(std::filesystem::exists(path + ".lock"));
}
