// SPDX-License-Identifier: BSD-3-Clause
// Another thread closes the file on a signal; another process reads it while it is written.
#include <atomic>
#include <cstdio>
#include <thread>

#include "base/clock.hpp"
#include "dlscale_catch.hpp"
#include "record/hdf5_call.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::RunFile;

TEST_CASE("another thread closes the file in the middle of the work") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  std::atomic<int> flushed{0};
  std::atomic<bool> closed{false};
  std::thread worker([&] {
    for (int sample = 0; !closed || sample < 30; ++sample) {
      file->append(wide_case, sample_rows(wide_case, sample, 1));
      file->flush();
      if (!closed) flushed = sample;
    }
  });
  while (flushed < 20) std::this_thread::yield();
  const std::int64_t begin = dlscale::now_ns();
  CHECK(file->close_from_other_thread("interrupted", 0.4, full_case, "ended by SIGTERM"));
  CHECK(dlscale::seconds_since(begin) < 0.5);
  closed = true;
  worker.join();
  CHECK(file->close_from_other_thread("completed", 0.1));  // already closed: nothing to do
  CHECK_FALSE(file->broken());
  const auto state = RunFile::inspect(path);
  CHECK(state.status == "interrupted");
  CHECK(state.cases[full_case].status == "failed");
  CHECK(state.cases[full_case].message == "ended by SIGTERM");
  CHECK(state.cases[small_case].status == "planned");
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(wrong_samples(opened.id(), wide_case, 20) == "");
}

TEST_CASE("the closing thread gives up when the library is busy for too long") {
  const TemporaryFolder folder;
  auto file = RunFile::create(folder.file("run.h5"), sample_spec());
  bool result = true;
  double waited_s = 0;
  {
    const std::lock_guard busy(dlscale::hdf5::library_mutex());
    std::thread closer([&] {
      const std::int64_t begin = dlscale::now_ns();
      result = file->close_from_other_thread("interrupted", 0.1);
      waited_s = dlscale::seconds_since(begin);
    });
    closer.join();
  }
  CHECK_FALSE(result);
  CHECK(waited_s >= 0.1);
  CHECK(waited_s < 5);
  file->append(small_case, sample_rows(small_case, 0, 2));  // and the file still works
  file->close("completed");
  CHECK(RunFile::inspect(folder.file("run.h5")).status == "completed");
}

TEST_CASE("another process follows the file while it is written") {
  if (!have_h5py()) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  const std::string script = "/usr/bin/python3 -c 'import h5py, time, sys\nf = h5py.File(\"" + path +
                             R"(", "r", libver="latest", swmr=True)
d, b, c, s = f["samples/0001/start"], f["samples/0001/block"], f["cases"], f["status"]
seen, end, first = 0, time.time() + 60, True
while seen < 60 and time.time() < end:
    c.refresh()
    n = int(c["samples"][1])
    b.refresh(); d.refresh()
    rows = d.shape[0]
    assert rows >= n and b.shape[0] >= n, (rows, b.shape, n)   # a row never tells of samples that are not there
    for i in range(seen, n):
        assert d[i, 0] == 1000000007 * i + 1 and d[i, 25999] == 1000000007 * i + 25999001, (i, d[i])
    seen = n
    if first: print("following", flush=True); first = False
assert s[()] == b"running", s[()]
sys.exit(0 if seen == 60 else 1)
' > )" + folder.file("started");
  std::FILE* reader = popen(script.c_str(), "w");
  REQUIRE(reader != nullptr);
  const std::int64_t begin = dlscale::now_ns();
  const auto started = [&] {
    std::FILE* output = std::fopen(folder.file("started").c_str(), "r");
    const bool any = output != nullptr && std::fgetc(output) != EOF;
    if (output != nullptr) std::fclose(output);
    return any;
  };
  while (!started() && dlscale::seconds_since(begin) < 30)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  dlscale::CaseRow row = sample_spec().cases[wide_case].row;
  for (int sample = 0; sample < 60; ++sample) {
    file->append(wide_case, sample_rows(wide_case, sample, 1));
    file->flush();
    row.samples = sample + 1;
    file->update_case(row);
    file->flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(pclose(reader) == 0);
  file->close("completed");
}
