// SPDX-License-Identifier: BSD-3-Clause
// On a full disk the run ends with a sentence and exit code 5, and what was flushed before is kept.
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
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

class SmallDisk {
 public:
  explicit SmallDisk(const char* size) {
    mounted_ =
        mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
    if (!mounted_) WARN("skipped: a small file system can't be mounted here");
  }
  ~SmallDisk() {
    if (mounted_) umount(folder_.path().c_str());
  }
  bool mounted() const { return mounted_; }
  std::string file(const std::string& name) const { return folder_.file(name); }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

struct Report {
  int flushed = 0;
  bool error_seen = false, broken = false, later_calls_silent = false, says_space = false;
};

/// Writes until the disk is full, tells what happened, and leaves through exit().
[[noreturn]] void fill_disk(const std::string& path, int channel) {
  Report report;
  {
    auto file = RunFile::create(path, sample_spec());
    try {
      for (int sample = 0; sample < 5000; ++sample) {
        for (const int id : {small_case, wide_case, full_case})
          file->append(id, sample_rows(id, sample, 1));
        file->flush();
        report.flushed = sample + 1;
      }
    } catch (const Error& error) {
      report.error_seen = error.exit_code() == ExitCode::output_failed;
      report.says_space = std::string(error.what()).find("No space left on device") != std::string::npos;
    }
    report.broken = file->broken();
    file->append(small_case, sample_rows(small_case, 0, 1));
    file->flush();
    file->close("completed");
    report.later_calls_silent = !file->close_from_other_thread("interrupted", 0.1);
    if (write(channel, &report, sizeof report) != sizeof report) _exit(1);
  }  // the destructor must not call HDF5 either
  std::exit(5);
}

}  // namespace

TEST_CASE("a full disk ends the run with a sentence and keeps what was flushed") {
  const SmallDisk disk("12m");
  if (!disk.mounted()) return;
  const std::string path = disk.file("run.h5");
  int channel[2];
  REQUIRE(pipe(channel) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(1);
    fill_disk(path, channel[1]);
  }
  close(channel[1]);
  Report report;
  CHECK(read(channel[0], &report, sizeof report) == sizeof report);
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
  CHECK(report.error_seen);
  CHECK(report.says_space);
  CHECK(report.broken);
  CHECK(report.later_calls_silent);
  CHECK(report.flushed > 5);

  // The disk is still full: recovery must refuse, and leave the file as it is.
  const auto size = std::filesystem::file_size(path);
  CHECK_THROWS_AS(RunFile::recover(path), Error);
  CHECK(std::filesystem::file_size(path) == size);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));

  const TemporaryFolder folder;
  const std::string copy = folder.file("run.h5");
  std::filesystem::copy_file(path, copy);
  RunFile::recover(copy);
  const OpenFile opened(copy);
  REQUIRE(opened.opened());
  for (const int id : {small_case, wide_case, full_case})
    CHECK(wrong_samples(opened.id(), id, report.flushed) == "");
}

TEST_CASE("a file that can't even be created leaves nothing behind") {
  const SmallDisk disk("64k");
  if (!disk.mounted()) return;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // a failed write ends all use of HDF5 in its process
    try {
      RunFile::create(disk.file("run.h5"), sample_spec());
    } catch (const Error& error) {
      const bool left = std::filesystem::exists(disk.file("run.h5")) ||
                        std::filesystem::exists(disk.file("run.h5.lock"));
      _exit(error.exit_code() == ExitCode::output_failed && !left ? 5 : 1);
    }
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
}
