// SPDX-License-Identifier: BSD-3-Clause
// A writer killed at a random moment loses nothing that it had flushed. DLSCALE_KILLS sets the number of
// kills.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "dlscale_catch.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::RunFile;

namespace {

/// Appends single samples to all cases without end; after each flush it tells how many every case has.
[[noreturn]] void write_until_killed(const std::string& path, int report) {
  auto file = RunFile::create(path, sample_spec());
  for (int sample = 0;; ++sample) {
    for (const int id : {small_case, wide_case, full_case}) file->append(id, sample_rows(id, sample, 1));
    if (sample % 3 != 2) continue;
    for (dlscale::CaseLayout layout : sample_spec().cases) {
      layout.row.status = "running";
      layout.row.samples = sample + 1;
      layout.row.blocks = layout.row.id == full_case ? epochs_after(sample + 1) : 0;
      file->update_case(layout.row);
    }
    file->append_clocks({{0, 0, sample, 0, 1, 2, 3, 4}});
    file->flush();
    const int flushed = sample + 1;
    if (write(report, &flushed, sizeof flushed) != sizeof flushed) _exit(1);
  }
}

/// Kills a writer of `path` some time after its first flush; returns how many samples it had flushed.
int kill_a_writer(const std::string& path, useconds_t delay_us) {
  int report[2];
  REQUIRE(pipe(report) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(report[0]);
    try {
      write_until_killed(path, report[1]);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "writer: %s\n", error.what());
      _exit(1);
    }
  }
  close(report[1]);
  int flushed = 0, value = 0;
  if (read(report[0], &flushed, sizeof flushed) == sizeof flushed) usleep(delay_us);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  while (read(report[0], &value, sizeof value) == sizeof value) flushed = value;
  close(report[0]);
  return flushed;
}

void check_samples(hid_t file, int flushed) {
  for (const int id : {small_case, wide_case, full_case}) CHECK(wrong_samples(file, id, flushed) == "");
}

/// As any Python user would follow a running job.
void check_with_h5py(const std::string& path, int flushed) {
  CHECK(run_python("import h5py; n = " + std::to_string(flushed) + "; f = h5py.File(\"" + path +
                   R"(", "r", libver="latest", swmr=True)
for case, columns in ((0, 2), (1, 26000), (2, 4)):
    g = f["samples/%04d" % case]
    assert g["start"].shape[0] >= n and g["block"].shape[0] >= n, (g["start"].shape, n)
    s = g["start"][:n]
    assert all(s[i, j] == 1000000007 * i + 1000 * j + case for i in range(n) for j in (0, columns - 1))
    assert list(g["repeats"][:n]) == [1 + i % 7 for i in range(n)]
assert (f["cases"]["samples"] >= n).all()
e = f["samples/0002/epochs"]
m = max(0, n // 4 - 1)
assert e.shape[0] >= m and all(e[i, 3, 1] == i + 0.375 + 20 for i in range(m)), (e.shape, m)
)") == 0);
}

void check_recover(const std::string& path, int flushed) {
  const std::string sentence = RunFile::recover(path);
  CHECK(sentence.find("interrupted") != std::string::npos);
  CHECK(RunFile::recover(path).find("in order") != std::string::npos);
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  check_samples(opened.id(), flushed);
  CHECK(read_text(opened.id(), "/status") == "interrupted");
  for (const int id : {small_case, wide_case, full_case}) {  // and what lies beyond is whole samples
    const std::string at = "/samples/000" + std::to_string(id);
    const auto rows = extent(opened.id(), at + "/start")[0];
    CHECK(rows >= static_cast<unsigned long long>(flushed));
    for (const char* array : {"/stop", "/phase", "/block", "/repeats"})
      CHECK(extent(opened.id(), at + array)[0] == rows);
    if (id == full_case)
      for (const char* array : {"/probes", "/parts", "/layers"})
        CHECK(extent(opened.id(), at + array)[0] == rows);
    const int epochs = id == full_case ? static_cast<int>(extent(opened.id(), at + "/epochs")[0]) : 0;
    if (id == full_case) CHECK(epochs >= epochs_after(flushed));
    CHECK(wrong_samples(opened.id(), id, static_cast<int>(rows), epochs) == "");
  }
}

/// A further launch with one case more, which must neither lose nor overwrite the earlier samples.
void check_reopen(const std::string& path, int flushed) {
  CHECK(RunFile::inspect(path).cases.size() == 3);
  dlscale::FileSpec spec = sample_spec();
  spec.launch.reason = "resume";
  auto file = RunFile::reopen(path, spec, {});
  for (int sample = 0; sample < 20; ++sample) {
    file->append(4, [&] {
      auto rows = sample_rows(wide_case, sample, 1);
      return rows;
    }());
    file->flush();
  }
  file->close("completed");
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  check_samples(opened.id(), flushed);
  const auto added = read_all<std::int64_t>(opened.id(), "/samples/0004/start", H5T_NATIVE_INT64);
  REQUIRE(added.size() == 20u * wide_participants);
  CHECK(added.back() == start_of(wide_case, 19, wide_participants - 1));
}

}  // namespace

TEST_CASE("a writer killed at any moment loses nothing it had flushed") {
  const char* wanted = std::getenv("DLSCALE_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 15;
  std::mt19937 random(20260102);
  std::uniform_int_distribution<useconds_t> delay(0, 40'000);
  int most = 0;
  for (int i = 0; i < kills; ++i) {
    const TemporaryFolder folder;
    const std::string path = folder.file("run.h5"), recovered = folder.file("recovered.h5"),
                      reopened = folder.file("reopened.h5");
    const int flushed = kill_a_writer(path, delay(random));
    CAPTURE(i, flushed);
    REQUIRE(flushed > 0);
    most = std::max(most, flushed);
    {
      const OpenFile opened(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ);
      REQUIRE(opened.opened());
      check_samples(opened.id(), flushed);
    }
    std::filesystem::copy_file(path, recovered);
    std::filesystem::copy_file(path, reopened);
    if (have_h5py()) check_with_h5py(path, flushed);
    check_recover(recovered, flushed);
    check_reopen(reopened, flushed);
  }
  CHECK((kills == 0 || most > 2));  // some were killed inside the work, however slow the machine
}
