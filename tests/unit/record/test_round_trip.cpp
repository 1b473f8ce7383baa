// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include "dlscale_catch.hpp"
#include "record/layout.hpp"
#include "sample_run.hpp"

using namespace record_test;
using dlscale::RunFile;

TEST_CASE("what was appended is read back, value for value") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = RunFile::create(path, sample_spec());
  for (const int id : {small_case, wide_case, full_case}) {
    file->append(id, sample_rows(id, 0, 7));
    file->append(id, sample_rows(id, 7, 1));
    file->append(id, sample_rows(id, 8, 29));  // across chunk limits of the wide case
  }
  dlscale::CaseRow row = sample_spec().cases[full_case].row;
  row.status = "completed";
  row.median_s = 0.125;
  row.samples = 33;
  row.warmup = 4;
  row.check_passed = 1;
  row.results_json = R"({"nodes":["a"]})";
  file->update_case(row);
  file->append_clocks({{0, 2, 1, 1, -5, 700, 350, 123456789}, {0, 2, 2, 1, -6, 701, 351, 223456789}});
  file->close("completed");
  file->close("failed");  // idempotent
  CHECK(file->bytes_written() > 100'000);

  const OpenFile opened(path);
  REQUIRE(opened.opened());
  for (const int id : {small_case, wide_case, full_case})
    CHECK(wrong_samples(opened.id(), id, 37) == "");
  CHECK(extent(opened.id(), "/samples/0001/start") ==
        std::vector<unsigned long long>{37, wide_participants});
  CHECK(extent(opened.id(), "/samples/0002/parts") == std::vector<unsigned long long>{37, 4, 3});
  CHECK(extent(opened.id(), "/samples/0002/layers") == std::vector<unsigned long long>{37, 4, 2});
  CHECK(extent(opened.id(), "/samples/0002/epochs") == std::vector<unsigned long long>{8, 4, 2});
  CHECK(extent(opened.id(), "/samples/0001/epochs").empty());
  CHECK(read_all<double>(opened.id(), "/samples/0002/layer_flops", H5T_NATIVE_DOUBLE) ==
        std::vector<double>{2e9, 4e8});
  CHECK(read_all<double>(opened.id(), "/samples/0002/layer_bytes", H5T_NATIVE_DOUBLE) ==
        std::vector<double>{3e6, 5e7});
  CHECK(extent(opened.id(), "/samples/0002/partners") == std::vector<unsigned long long>{3, 4});
  CHECK(read_all<int>(opened.id(), "/samples/0002/partners", H5T_NATIVE_INT) ==
        std::vector<int>{1, 0, 3, 2, 2, 3, 0, 1, -1, 2, 1, -1});
  CHECK(extent(opened.id(), "/samples/0001/partners").empty());
  CHECK(extent(opened.id(), "/samples/0002/block") == std::vector<unsigned long long>{37});
  CHECK(read_all<int>(opened.id(), "/samples/0002/ranks", H5T_NATIVE_INT) ==
        std::vector<int>{0, 1, 2, 3});
  CHECK(read_text(opened.id(), "/status") == "completed");
  CHECK(read_text(opened.id(), "/input/job") == sample_spec().job_text);
  CHECK(extent(opened.id(), "/system/ranks") == std::vector<unsigned long long>{1, ranks});
}

TEST_CASE("rows of the tables are read back through inspect and h5py") {
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  {
    auto file = RunFile::create(path, sample_spec());
    dlscale::CaseRow row = sample_spec().cases[wide_case].row;
    row.status = "failed";
    row.message = "residual 3 > 1";
    row.check_error = 3;
    file->update_case(row);
    file->append_clocks({{0, 2, 1, 3, -5, 700, 350, 123456789}});
    file->close("failed");
  }
  const auto state = RunFile::inspect(path);
  CHECK(state.launches == 1);
  CHECK(state.ranks == ranks);
  CHECK(state.status == "failed");
  CHECK(state.build_id == "feedbeef");
  CHECK(state.git_hash == "0123abc");
  CHECK(state.dlscale_version == "0.1.0");
  CHECK(state.resolved_text == sample_spec().resolved_text);
  REQUIRE(state.cases.size() == 3);
  CHECK(state.cases[1].message == "residual 3 > 1");
  CHECK(state.cases[1].check_error == 3.0);
  CHECK(std::isnan(state.cases[1].median_s));
  CHECK(state.cases[2].order == 12);
  CHECK(state.cases[0].params_json == R"({"m":4096})");
  CHECK(state.cases[0].check_passed == -1);
  if (!have_h5py()) return;
  CHECK(run_python("import h5py; f = h5py.File(\"" + path + R"(", "r")
c = f["cases"]
assert c["workload"][1] == b"gemm" and c["status"][1] == b"failed" and c["order"][2] == 12 and c["flops"][0] == 1.5e9
r = f["system/ranks"]
assert r["host"][0, 5] == b"node2" and r["memory_bytes"][0, 0] == 1 << 40 and r["switch"][0, 1] == b"leaf1"
k = f["system/clocks"]
assert list(k[0]) == [0, 2, 1, 3, -5, 700, 350, 123456789], k[0]
l = f["system/launches"]
assert l["hosts"][0] == b"node1,node2" and l["started"][0] == b"2026-01-02T03:04:05Z" and l["reason"][0] == b"first"
assert f["system/environment"][0] == b"{\"kernel\":\"Linux\"}"
assert f.attrs["schema_version"] == 1 and f.attrs["ranks"] == 6 and f.attrs["build_id"] == b"feedbeef"
assert list(f["samples/0002/probe_units"]) == [b"Hz", b"s"]
assert list(f["samples/0002/layer_names"]) == [b"conv1 forward", b"fc1 backward"]
assert list(f["samples/0002/epoch_names"]) == [b"train", b"loss"]
assert list(f["samples/0002/epoch_units"]) == [b"s", b"1"]
assert c["items"][2] == 64 and c["items"][0] == 0
)") == 0);
}

TEST_CASE("rows of a wrong shape are refused and nothing is written") {
  const TemporaryFolder folder;
  auto file = RunFile::create(folder.file("run.h5"), sample_spec());
  dlscale::SampleRows rows = sample_rows(small_case, 0, 2);
  rows.repeats.pop_back();  // written after the big arrays: these must not have grown either
  CHECK_THROWS_AS(file->append(small_case, rows), std::invalid_argument);
  rows = sample_rows(small_case, 0, 2);
  rows.probes = {1.0};
  CHECK_THROWS_AS(file->append(small_case, rows), std::invalid_argument);
  rows = sample_rows(small_case, 0, 2);
  rows.epochs = 1;  // has no such array
  rows.epoch_values = {1.0};
  CHECK_THROWS_AS(file->append(small_case, rows), std::invalid_argument);
  rows = sample_rows(full_case, 4, 4);
  rows.epoch_values.pop_back();
  CHECK_THROWS_AS(file->append(full_case, rows), std::invalid_argument);
  CHECK_THROWS_AS(file->append(3, sample_rows(small_case, 0, 1)), std::out_of_range);
  CHECK_FALSE(file->broken());
  file->append(small_case, sample_rows(small_case, 0, 3));
  file->close("completed");
  const OpenFile opened(folder.file("run.h5"));
  CHECK(extent(opened.id(), "/samples/0000/start") == std::vector<unsigned long long>{3, 2});
  CHECK(wrong_samples(opened.id(), small_case, 3) == "");
}

TEST_CASE("nothing can be created once the file is sealed") {
  const TemporaryFolder folder;
  dlscale::hdf5::start_library();
  auto store = dlscale::Store::create(folder.file("store.h5"));
  store.create_group("/a");
  store.seal();
  CHECK_THROWS_AS(store.create_group("/b"), std::logic_error);
  CHECK_THROWS_AS(store.create_array("/c", H5T_STD_I32LE, {{1}, {}}, {}), std::logic_error);
  CHECK_THROWS_AS(store.create_text("/d", "x", 1, {}), std::logic_error);
  CHECK_THROWS_AS(store.remove("/a"), std::logic_error);
  CHECK_THROWS_AS(store.set_attribute("/", "e", "x"), std::logic_error);
  CHECK(store.exists("/a"));
  CHECK_FALSE(store.exists("/b"));
}

TEST_CASE("chunks hold about 262144 elements and 1 to 256 rows") {
  CHECK(dlscale::chunk_rows(1) == 256);
  CHECK(dlscale::chunk_rows(128) == 256);
  CHECK(dlscale::chunk_rows(10240) == 25);
  CHECK(dlscale::chunk_rows(100000) == 2);
  CHECK(dlscale::chunk_rows(1000000) == 1);
  CHECK(dlscale::chunk_rows(0) == 256);
}
