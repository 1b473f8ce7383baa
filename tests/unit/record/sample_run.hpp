// SPDX-License-Identifier: BSD-3-Clause
/// A small run with known values, and readers that share no code with the room under test.
#pragma once

#include <hdf5.h>

#include <string>
#include <vector>

#include "record/run_file.hpp"

namespace record_test {

/// A new folder under the system's temporary one, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Sets a variable, and puts back what was there.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value);
  ~ScopedVariable();

 private:
  std::string name_, before_;
  bool was_set_;
};

constexpr int ranks = 6;
/// full_case has probes, parts, layers, buckets, epochs and partners.
constexpr int small_case = 0, wide_case = 1, full_case = 2;
constexpr int wide_participants = 26000;  ///< 10 rows per chunk

dlscale::FileSpec sample_spec();
int participants(int case_id);

/// Values of samples [first, first + count), a function of case, sample and participant.
std::int64_t start_of(int case_id, int sample, int participant);
dlscale::SampleRows sample_rows(int case_id, int first, int count);

/// Every value of one array; empty if it can't be opened.
template <class T>
std::vector<T> read_all(hid_t file, const std::string& path, hid_t memory_type) {
  const hid_t array = H5Dopen2(file, path.c_str(), H5P_DEFAULT);
  if (array < 0) return {};
  const hid_t space = H5Dget_space(array);
  std::vector<T> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  if (!values.empty() && H5Dread(array, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    values.clear();
  H5Sclose(space);
  H5Dclose(array);
  return values;
}

std::vector<unsigned long long> extent(hid_t file, const std::string& path);
std::string read_text(hid_t file, const std::string& path);

/// Opened for reading; `flags` H5F_ACC_RDONLY, with H5F_ACC_SWMR_READ for a file that is written or was
/// cut off.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path, unsigned flags = H5F_ACC_RDONLY);
  ~OpenFile();
  hid_t id() const { return id_; }
  bool opened() const { return id_ >= 0; }

 private:
  hid_t id_;
};

/// Epochs of full_case that have ended after `samples` samples: four samples each, the first four are
/// warm-up.
int epochs_after(int samples);

/// Empty if the first `samples` samples of the case have the values of sample_rows(), else what is
/// wrong. Of epochs those that have ended by then are expected, or as many as given.
std::string wrong_samples(hid_t file, int case_id, int samples, int epochs = -1);

/// Exit status of `/usr/bin/python3 -c script`, −1 if it did not run.
int run_python(const std::string& script);
/// False, with a warning, where h5py can't be imported.
bool have_h5py();

}  // namespace record_test
