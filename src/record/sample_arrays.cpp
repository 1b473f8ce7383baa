// SPDX-License-Identifier: BSD-3-Clause
#include "record/sample_arrays.hpp"

#include <algorithm>
#include <stdexcept>

namespace dlscale {

using hdf5::checked;

namespace {

struct Growing {
  const char* name;
  hid_t memory_type;
};

constexpr const char* epochs_name = "epochs";

/// In the order in which they are written; a reader may take the shortest of those along the samples as
/// their number.
std::vector<Growing> growing_arrays() {
  return {{"start", H5T_NATIVE_INT64},    {"stop", H5T_NATIVE_INT64},
          {"phase", H5T_NATIVE_UINT8},    {"probes", H5T_NATIVE_DOUBLE},
          {"parts", H5T_NATIVE_DOUBLE},   {"layers", H5T_NATIVE_DOUBLE},
          {"buckets", H5T_NATIVE_DOUBLE}, {epochs_name, H5T_NATIVE_DOUBLE},
          {"repeats", H5T_NATIVE_INT32},  {"block", H5T_NATIVE_INT32}};
}

bool along_samples(const std::string& path) {
  return !path.ends_with(std::string("/") + epochs_name);
}

/// Names of the case's growing arrays that exist.
std::vector<std::string> existing(const Store& store, int case_id) {
  std::vector<std::string> paths;
  for (const Growing& array : growing_arrays()) {
    const std::string path = samples_path(case_id) + "/" + array.name;
    if (store.exists(path)) paths.push_back(path);
  }
  return paths;
}

hsize_t product_without_first(const std::vector<hsize_t>& extent) {
  hsize_t product = 1;
  for (std::size_t i = 1; i < extent.size(); ++i) product *= extent[i];
  return product;
}

}  // namespace

SampleArrays::SampleArrays(const Store& store, int case_id) : group_(samples_path(case_id)) {
  for (const Growing& growing : growing_arrays()) {
    const std::string path = group_ + "/" + growing.name;
    if (!store.exists(path)) continue;
    hdf5::Dataset array = store.open(path);
    const hsize_t elements = product_without_first(extent_of(array, path));
    arrays_.push_back({growing.name, growing.memory_type, elements, std::move(array)});
  }
}

SampleArrays::Array* SampleArrays::find(const std::string& name) {
  const auto it =
      std::find_if(arrays_.begin(), arrays_.end(), [&](const Array& a) { return a.name == name; });
  return it == arrays_.end() ? nullptr : &*it;
}

std::vector<SampleArrays::Piece> SampleArrays::pieces(const SampleRows& rows) {
  std::vector<Piece> all;
  const auto add = [&](const char* name, const auto& values, int count) {
    Array* array = find(name);
    const auto grown = static_cast<hsize_t>(count);
    const std::size_t expected = array == nullptr ? 0 : array->row_elements * grown;
    if (values.size() != expected)
      throw std::invalid_argument(group_ + "/" + name + ": " + std::to_string(values.size()) +
                                  " values given, " + std::to_string(expected) + " expected");
    if (array != nullptr && grown > 0) all.push_back({array, grown, values.data()});
  };
  add("start", rows.start, rows.samples);
  add("stop", rows.stop, rows.samples);
  add("phase", rows.phase, rows.samples);
  add("probes", rows.probes, rows.samples);
  add("parts", rows.parts, rows.samples);
  add("layers", rows.layers, rows.samples);
  add("buckets", rows.buckets, rows.samples);
  add(epochs_name, rows.epoch_values, rows.epochs);
  add("repeats", rows.repeats, rows.samples);
  add("block", rows.block, rows.samples);
  return all;
}

void SampleArrays::append(const SampleRows& rows) {
  if (rows.samples < 0 || rows.epochs < 0)
    throw std::invalid_argument(group_ + ": negative number of rows");
  for (const Piece& piece : pieces(rows))
    append_rows(piece.array->array, group_ + "/" + piece.array->name, piece.array->memory_type,
                piece.rows, piece.data);
}

void SampleArrays::close() {
  for (Array& array : arrays_)
    if (array.array) checked(H5Dclose(array.array.release()), "H5Dclose " + group_ + "/" + array.name);
}

RowCounts count_rows(const Store& store, int case_id) {
  RowCounts counts;
  bool first = true;
  for (const std::string& path : existing(store, case_id)) {
    const hsize_t rows = rows_of(store.open(path), path);
    if (!along_samples(path)) {
      counts.has_epochs = true;
      counts.epochs = rows;
      continue;
    }
    counts.common = first ? rows : std::min(counts.common, rows);
    counts.longest = std::max(counts.longest, rows);
    first = false;
  }
  return counts;
}

hsize_t largest_chunk_bytes(const Store& store, int case_id) {
  hsize_t largest = 0;
  for (const std::string& path : existing(store, case_id)) {
    const hsize_t elements = product_without_first(extent_of(store.open(path), path));
    largest = std::max(largest, chunk_rows(elements) * elements * sizeof(double));
  }
  return largest;
}

namespace {

void cut(const Store& store, const std::string& path, hsize_t rows) {
  const hdf5::Dataset array = store.open(path);
  std::vector<hsize_t> extent = extent_of(array, path);
  if (extent.empty() || extent[0] <= rows) return;
  extent[0] = rows;
  checked(H5Dset_extent(array.get(), extent.data()), "H5Dset_extent " + path);
}

}  // namespace

void cut_rows(const Store& store, int case_id, hsize_t rows) {
  for (const std::string& path : existing(store, case_id))
    if (along_samples(path)) cut(store, path, rows);
}

void cut_epochs(const Store& store, int case_id, hsize_t rows) {
  const std::string path = samples_path(case_id) + "/" + epochs_name;
  if (store.exists(path)) cut(store, path, rows);
}

void check_readable(const Store& store, int case_id) {
  for (const Growing& growing : growing_arrays()) {
    const std::string path = samples_path(case_id) + "/" + growing.name;
    if (!store.exists(path)) continue;
    const hdf5::Dataset array = store.open(path);
    const std::vector<hsize_t> extent = extent_of(array, path);
    if (extent.empty() || extent[0] == 0) continue;
    std::vector<char> row(product_without_first(extent) * H5Tget_size(growing.memory_type));
    read_rows(array, path, growing.memory_type, extent[0] - 1, 1, row.data());
  }
}

hsize_t count_written_epochs(const Store& store, int case_id, hsize_t first) {
  const std::string path = samples_path(case_id) + "/" + epochs_name;
  const hdf5::Dataset array = store.open(path);
  const std::vector<hsize_t> extent = extent_of(array, path);
  std::vector<double> row(product_without_first(extent));
  for (hsize_t at = first; at < extent[0]; ++at) {
    read_rows(array, path, H5T_NATIVE_DOUBLE, at, 1, row.data());
    if (std::all_of(row.begin(), row.end(), [](double value) { return value == 0; })) return at - first;
  }
  return extent[0] > first ? extent[0] - first : 0;
}

std::vector<std::int32_t> read_repeats(const Store& store, int case_id, hsize_t first, hsize_t count) {
  const std::string path = samples_path(case_id) + "/repeats";
  std::vector<std::int32_t> repeats(count);
  if (count > 0) read_rows(store.open(path), path, H5T_NATIVE_INT32, first, count, repeats.data());
  return repeats;
}

}  // namespace dlscale
