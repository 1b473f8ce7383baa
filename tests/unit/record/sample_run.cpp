// SPDX-License-Identifier: BSD-3-Clause
#include "sample_run.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "dlscale_catch.hpp"
#include "record/hdf5_call.hpp"

namespace record_test {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "dlscale-record-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ScopedVariable::ScopedVariable(const char* name, const std::string& value) : name_(name) {
  const char* before = getenv(name);
  was_set_ = before != nullptr;
  if (was_set_) before_ = before;
  setenv(name, value.c_str(), 1);
}
ScopedVariable::~ScopedVariable() {
  was_set_ ? setenv(name_.c_str(), before_.c_str(), 1) : unsetenv(name_.c_str());
}

int participants(int case_id) {
  return case_id == wide_case ? wide_participants : 2 + case_id;
}

static dlscale::CaseLayout make_case(int id, const std::string& workload) {
  dlscale::CaseLayout layout;
  layout.row.id = id;
  layout.row.order = 10 + id;
  layout.row.workload = workload;
  layout.row.variant = "cpu";
  layout.row.ranks = participants(id);
  layout.row.params_json = R"({"m":4096})";
  layout.row.flops = 1.5e9;
  layout.row.status = "planned";
  layout.row.repro = workload + " m=4096";
  layout.ranks.resize(static_cast<std::size_t>(participants(id)));
  std::iota(layout.ranks.begin(), layout.ranks.end(), 0);
  return layout;
}

dlscale::FileSpec sample_spec() {
  dlscale::FileSpec spec;
  spec.dlscale_version = "0.1.0";
  spec.git_hash = "0123abc";
  spec.build_id = "feedbeef";
  spec.ranks = ranks;
  spec.job_text = "[run]\nname = \"größer\"\n";
  spec.resolved_text = "[run]\nseed = 1\n";
  spec.command_line = "dlscale job.toml";
  spec.launch = {"2026-01-02T03:04:05Z", "node1,node2", "first"};
  spec.environment_json = R"({"kernel":"Linux"})";
  for (int rank = 0; rank < ranks; ++rank) {
    dlscale::RankRow row;
    row.rank = rank;
    row.host = "node" + std::to_string(1 + rank / 3);
    row.local_rank = rank % 3;
    row.memory_bytes = std::int64_t{1} << 40;
    row.network_switch = "leaf1";
    spec.rank_rows.push_back(row);
  }
  spec.cases = {make_case(small_case, "noop"), make_case(wide_case, "gemm"),
                make_case(full_case, "train")};
  spec.cases[full_case].probes = {{"frequency", "Hz", "of the first core"},
                                  {"steal", "s", "time stolen"}};
  spec.cases[full_case].part_names = {"load", "forward", "backward"};
  spec.cases[full_case].layers = {{"conv1 forward", 2e9, 3e6}, {"fc1 backward", 4e8, 5e7}};
  spec.cases[full_case].bucket_bytes = {1048576, 641344};
  spec.cases[full_case].epochs = {{"train", "s", "wall time of the training part"},
                                  {"loss", "1", "mean training loss"}};
  spec.cases[full_case].partners = {{1, 0, 3, 2}, {2, 3, 0, 1}, {-1, 2, 1, -1}};
  spec.cases[full_case].row.items = 64;
  return spec;
}

int epochs_after(int samples) {
  return samples < 4 ? 0 : samples / 4 - 1;
}

static std::vector<double> epoch_values(int first, int count) {
  std::vector<double> values;
  for (int epoch = first; epoch < first + count; ++epoch)
    for (int participant = 0; participant < participants(full_case); ++participant)
      for (int i = 0; i < 2; ++i) values.push_back(epoch + 0.125 * participant + 10 * (i + 1));
  return values;
}

std::int64_t start_of(int case_id, int sample, int participant) {
  return 1'000'000'007LL * sample + 1000LL * participant + case_id;
}

dlscale::SampleRows sample_rows(int case_id, int first, int count) {
  dlscale::SampleRows rows;
  rows.samples = count;
  for (int sample = first; sample < first + count; ++sample) {
    rows.block.push_back(sample / 4 - 1);
    rows.repeats.push_back(1 + sample % 7);
    for (int participant = 0; participant < participants(case_id); ++participant) {
      const std::int64_t start = start_of(case_id, sample, participant);
      rows.start.push_back(start);
      rows.stop.push_back(start + 500 + participant);
      rows.phase.push_back(sample < 4 ? 0 : 1);
      if (case_id != full_case) continue;
      for (int i = 0; i < 2; ++i) rows.probes.push_back(sample + 0.25 * participant + 100 * i);
      for (int i = 0; i < 3; ++i) rows.parts.push_back(sample - 0.5 * participant + 1000 * i);
      for (int i = 0; i < 2; ++i) rows.layers.push_back(3 * sample + 0.5 * participant + 1e6 * i);
      for (int i = 0; i < 6; ++i) rows.buckets.push_back(7 * sample - 0.5 * participant + 1e5 * i);
    }
  }
  if (case_id == full_case) {
    rows.epochs = epochs_after(first + count) - epochs_after(first);
    rows.epoch_values = epoch_values(epochs_after(first), rows.epochs);
  }
  return rows;
}

std::vector<unsigned long long> extent(hid_t file, const std::string& path) {
  const hid_t array = H5Dopen2(file, path.c_str(), H5P_DEFAULT);
  if (array < 0) return {};
  const hid_t space = H5Dget_space(array);
  std::vector<hsize_t> dims(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space)));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  H5Sclose(space);
  H5Dclose(array);
  return {dims.begin(), dims.end()};
}

std::string read_text(hid_t file, const std::string& path) {
  const hid_t array = H5Dopen2(file, path.c_str(), H5P_DEFAULT);
  if (array < 0) return "(can't be opened)";
  const hid_t type = H5Dget_type(array);
  std::string text(H5Tget_size(type), '\0');
  if (H5Dread(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0) text = "(can't be read)";
  H5Tclose(type);
  H5Dclose(array);
  return text.c_str();
}

OpenFile::OpenFile(const std::string& path, unsigned flags) {
  dlscale::hdf5::start_library();
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  // By default the library retries, in effect for ever, what it can't read.
  if ((flags & H5F_ACC_SWMR_READ) != 0) H5Pset_metadata_read_attempts(access, 20);
  id_ = H5Fopen(path.c_str(), flags, access);
  H5Pclose(access);
}
OpenFile::~OpenFile() {
  if (id_ >= 0) H5Fclose(id_);
}

namespace {

template <class T>
std::string differs(hid_t file, const std::string& path, hid_t type, const std::vector<T>& expected) {
  const auto found = read_all<T>(file, path, type);
  if (found.size() < expected.size())
    return path + " has " + std::to_string(found.size()) + " values of " +
           std::to_string(expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (found[i] != expected[i]) return path + " differs at value " + std::to_string(i);
  return {};
}

}  // namespace

std::string wrong_samples(hid_t file, int case_id, int samples, int epochs) {
  char group[32];
  std::snprintf(group, sizeof group, "/samples/%04d", case_id);
  dlscale::SampleRows rows = sample_rows(case_id, 0, samples);
  if (epochs >= 0) rows.epoch_values = epoch_values(0, epochs);
  const std::string at = group;
  for (const std::string& problem :
       {differs(file, at + "/start", H5T_NATIVE_INT64, rows.start),
        differs(file, at + "/stop", H5T_NATIVE_INT64, rows.stop),
        differs(file, at + "/phase", H5T_NATIVE_UINT8, rows.phase),
        differs(file, at + "/block", H5T_NATIVE_INT32, rows.block),
        differs(file, at + "/repeats", H5T_NATIVE_INT32, rows.repeats),
        rows.probes.empty() ? "" : differs(file, at + "/probes", H5T_NATIVE_DOUBLE, rows.probes),
        rows.parts.empty() ? "" : differs(file, at + "/parts", H5T_NATIVE_DOUBLE, rows.parts),
        rows.layers.empty() ? "" : differs(file, at + "/layers", H5T_NATIVE_DOUBLE, rows.layers),
        rows.buckets.empty() ? "" : differs(file, at + "/buckets", H5T_NATIVE_DOUBLE, rows.buckets),
        rows.epoch_values.empty() ? ""
                                  : differs(file, at + "/epochs", H5T_NATIVE_DOUBLE, rows.epoch_values)})
    if (!problem.empty()) return problem;
  return {};
}

int run_python(const std::string& script) {
  const int status = std::system(("timeout 60 /usr/bin/python3 -c '" + script + "'").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool have_h5py() {
  static const bool have = run_python("import h5py") == 0;
  if (!have) WARN("skipped: /usr/bin/python3 can't import h5py");
  return have;
}

}  // namespace record_test
