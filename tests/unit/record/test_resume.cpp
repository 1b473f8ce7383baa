// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "record/hdf5_call.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::RunFile;

namespace {

std::string finished_run(const TemporaryFolder& folder, const std::string& status) {
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  for (const int id : {small_case, full_case}) file->append(id, sample_rows(id, 0, 8));
  dlscale::CaseRow row = sample_spec().cases[full_case].row;
  row.status = "completed";
  row.samples = 4;
  row.warmup = 4;
  file->update_case(row);
  file->close(status);
  return path;
}

dlscale::FileSpec second_launch() {
  dlscale::FileSpec spec = sample_spec();
  spec.launch = {"2026-02-03T00:00:00Z", "node7," + std::string(5000, 'x'), "resume"};
  spec.environment_json = "{\"long\":\"" + std::string(200'000, 'e') + "\"}";
  for (auto& row : spec.rank_rows) row.host = "node7";
  spec.cases.resize(2);
  return spec;
}

/// Makes one array longer or shorter than the others, as a kill inside an append does.
void set_rows(const std::string& path, const std::string& array, hsize_t rows) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(file >= 0);
  const hid_t dataset = H5Dopen2(file, array.c_str(), H5P_DEFAULT);
  auto dims = extent(file, array);
  std::vector<hsize_t> wanted(dims.begin(), dims.end());
  wanted[0] = rows;
  REQUIRE(H5Dset_extent(dataset, wanted.data()) >= 0);
  H5Dclose(dataset);
  H5Fclose(file);
}

}  // namespace

TEST_CASE("a resumed run keeps what is there, supersedes rows and adds its own") {
  const TemporaryFolder folder;
  const std::string path = finished_run(folder, "interrupted");
  dlscale::CaseRow superseded = RunFile::inspect(path).cases[wide_case];
  superseded.status = "skipped";
  superseded.message = "measured again as case 4";
  auto file = RunFile::reopen(path, second_launch(), {superseded});
  CHECK(std::filesystem::exists(path + ".lock"));
  file->append(3, sample_rows(small_case, 0, 5));
  file->append(4, sample_rows(wide_case, 0, 5));
  file->append(small_case, sample_rows(small_case, 8, 2));  // an earlier case may go on
  file->close("completed");
  CHECK_FALSE(std::filesystem::exists(path + ".new"));

  const auto state = RunFile::inspect(path);
  CHECK(state.launches == 2);
  CHECK(state.status == "completed");
  REQUIRE(state.cases.size() == 5);
  CHECK(state.cases[1].message == "measured again as case 4");
  CHECK(state.cases[2].status == "completed");
  CHECK(state.cases[3].id == 3);
  CHECK(state.cases[3].launch == 1);
  CHECK(state.cases[0].launch == 0);
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  CHECK(wrong_samples(opened.id(), small_case, 10) == "");
  CHECK(wrong_samples(opened.id(), full_case, 8) == "");
  CHECK(extent(opened.id(), "/samples/0004/start") ==
        std::vector<unsigned long long>{5, wide_participants});
  CHECK(extent(opened.id(), "/system/ranks") == std::vector<unsigned long long>{2, ranks});
  if (!have_h5py()) return;
  CHECK(run_python("import h5py, json; f = h5py.File(\"" + path + R"(", "r")
l = f["system/launches"]
assert list(l["launch"]) == [0, 1] and l["hosts"][0] == b"node1,node2" and len(l["hosts"][1]) == 5006
e = f["system/environment"]
assert json.loads(e[0]) == {"kernel": "Linux"} and len(json.loads(e[1])["long"]) == 200000
r = f["system/ranks"]
assert r["host"][0, 0] == b"node1" and r["host"][1, 0] == b"node7"
)") == 0);
}

TEST_CASE("another number of ranks can't resume a file") {
  const TemporaryFolder folder;
  const std::string path = finished_run(folder, "interrupted");
  dlscale::FileSpec spec = second_launch();
  spec.ranks = 2;
  spec.rank_rows.resize(2);
  try {
    RunFile::reopen(path, spec, {});
    FAIL("accepted");
  } catch (const dlscale::Error& error) {
    CHECK(error.exit_code() == dlscale::ExitCode::bad_input);
    CHECK(std::string(error.what()).find("6 ranks") != std::string::npos);
  }
  CHECK(RunFile::inspect(path).launches == 1);
}

TEST_CASE("recover cuts half-appended samples, never below what the row says") {
  const TemporaryFolder folder;
  const std::string path = finished_run(folder, "running");
  RunFile::recover(path);  // status only
  set_rows(path, "/samples/0000/stop", 11);
  set_rows(path, "/samples/0000/start", 12);  // rows beyond 8 never got data
  set_rows(path, "/samples/0002/block", 6);   // 8 are recorded: damage, nothing may be cut
  const std::string sentence = RunFile::recover(path);
  CHECK(sentence.find("4 unfinished samples of 1 cases removed") != std::string::npos);
  CHECK(sentence.find("damaged") != std::string::npos);
  CHECK(sentence.find("2 (6 of 8)") != std::string::npos);
  const OpenFile opened(path);
  REQUIRE(opened.opened());
  for (const char* array : {"start", "stop", "phase", "block", "repeats"})
    CHECK(extent(opened.id(), std::string("/samples/0000/") + array)[0] == 8);
  CHECK(wrong_samples(opened.id(), small_case, 8) == "");
  CHECK(extent(opened.id(), "/samples/0002/start")[0] == 8);
}

TEST_CASE("recover cuts epochs that were not written, and layers with the samples") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  file->append(full_case, sample_rows(full_case, 0, 16));  // three epochs
  dlscale::CaseRow row = sample_spec().cases[full_case].row;
  row.samples = 8;
  row.warmup = 4;
  row.blocks = 2;
  file->update_case(row);
  file->close("interrupted");
  set_rows(path, "/samples/0002/layers", 14);
  set_rows(path, "/samples/0002/epochs", 5);  // the last two never got data
  RunFile::recover(path);
  CHECK(RunFile::recover(path).find("in order") != std::string::npos);
  {
    const OpenFile opened(path);
    for (const char* array : {"start", "probes", "parts", "layers", "block"})
      CHECK(extent(opened.id(), std::string("/samples/0002/") + array)[0] == 14);
    CHECK(extent(opened.id(), "/samples/0002/epochs")[0] == 3);
    CHECK(wrong_samples(opened.id(), full_case, 14, 3) == "");
  }
  // A resumed run adds arrays of its own and goes on with its epochs from the first.
  auto again = RunFile::reopen(path, sample_spec(), {});
  again->append(3 + full_case, sample_rows(full_case, 0, 12));
  again->close("completed");
  {
    const OpenFile opened(path);
    CHECK(extent(opened.id(), "/samples/0005/epochs")[0] == 2);
    CHECK(extent(opened.id(), "/samples/0005/layers")[0] == 12);
    CHECK(wrong_samples(opened.id(), full_case, 14, 3) == "");
  }
  set_rows(path, "/samples/0002/epochs", 1);  // fewer than recorded: damage
  set_rows(path, "/samples/0002/start", 15);
  CHECK(RunFile::recover(path).find("2 (1 of 2 epochs)") != std::string::npos);
}

TEST_CASE("samples whose data never reached the file are cut as well") {
  const TemporaryFolder folder;
  const std::string path = finished_run(folder, "interrupted");
  for (const char* array : {"start", "stop", "phase", "block", "repeats"})
    set_rows(path, std::string("/samples/0000/") + array, 9);  // repeats of row 8 is a hole: 0
  RunFile::recover(path);
  CHECK(RunFile::recover(path).find("in order") != std::string::npos);
  const OpenFile opened(path);
  CHECK(read_text(opened.id(), "/status") == "interrupted");
}

TEST_CASE("a file in order is left alone by recover") {
  const TemporaryFolder folder;
  const std::string path = finished_run(folder, "completed");
  const auto before = std::filesystem::last_write_time(path);
  CHECK(RunFile::recover(path).find("nothing was changed") != std::string::npos);
  CHECK(std::filesystem::last_write_time(path) == before);
}
