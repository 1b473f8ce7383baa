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

/// In the order in which they are written; a reader may take the shortest as the number of samples.
std::vector<Growing> growing_arrays() {
  return {{"start", H5T_NATIVE_INT64},   {"stop", H5T_NATIVE_INT64},   {"phase", H5T_NATIVE_UINT8},
          {"probes", H5T_NATIVE_DOUBLE}, {"parts", H5T_NATIVE_DOUBLE}, {"repeats", H5T_NATIVE_INT32},
          {"block", H5T_NATIVE_INT32}};
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
  const auto add = [&](const char* name, const auto& values) {
    Array* array = find(name);
    const std::size_t expected =
        array == nullptr ? 0 : array->row_elements * static_cast<hsize_t>(rows.samples);
    if (values.size() != expected)
      throw std::invalid_argument(group_ + "/" + name + ": " + std::to_string(values.size()) +
                                  " values given, " + std::to_string(expected) + " expected");
    if (array != nullptr) all.push_back({array, values.data()});
  };
  add("start", rows.start);
  add("stop", rows.stop);
  add("phase", rows.phase);
  add("probes", rows.probes);
  add("parts", rows.parts);
  add("repeats", rows.repeats);
  add("block", rows.block);
  return all;
}

void SampleArrays::append(const SampleRows& rows) {
  if (rows.samples < 0) throw std::invalid_argument(group_ + ": negative number of samples");
  const std::vector<Piece> all = pieces(rows);
  if (rows.samples == 0) return;
  for (const Piece& piece : all)
    append_rows(piece.array->array, group_ + "/" + piece.array->name, piece.array->memory_type,
                static_cast<hsize_t>(rows.samples), piece.data);
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

void cut_rows(const Store& store, int case_id, hsize_t rows) {
  for (const std::string& path : existing(store, case_id)) {
    const hdf5::Dataset array = store.open(path);
    std::vector<hsize_t> extent = extent_of(array, path);
    if (extent.empty() || extent[0] <= rows) continue;
    extent[0] = rows;
    checked(H5Dset_extent(array.get(), extent.data()), "H5Dset_extent " + path);
  }
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

std::vector<std::int32_t> read_repeats(const Store& store, int case_id, hsize_t first, hsize_t count) {
  const std::string path = samples_path(case_id) + "/repeats";
  std::vector<std::int32_t> repeats(count);
  if (count > 0) read_rows(store.open(path), path, H5T_NATIVE_INT32, first, count, repeats.data());
  return repeats;
}

}  // namespace dlscale
