// SPDX-License-Identifier: BSD-3-Clause
// Rows of arrays that grow.
#include "record/store.hpp"

namespace dlscale {

using hdf5::checked;

hdf5::Dataset Store::open(const std::string& path) const {
  const hdf5::Properties access(checked(H5Pcreate(H5P_DATASET_ACCESS), "H5Pcreate"));
  // No chunk cache: rows go straight to their place. With it, every flush would write whole chunks
  // again.
  checked(H5Pset_chunk_cache(access.get(), 1, 0, 1.0), "H5Pset_chunk_cache");
  return hdf5::Dataset(checked(H5Dopen2(file_.get(), path.c_str(), access.get()), "H5Dopen2 " + path));
}

std::vector<hsize_t> extent_of(const hdf5::Dataset& array, const std::string& name) {
  const hdf5::Space space(checked(H5Dget_space(array.get()), "H5Dget_space " + name));
  const int dimensions =
      checked(H5Sget_simple_extent_ndims(space.get()), "H5Sget_simple_extent_ndims " + name);
  std::vector<hsize_t> extent(static_cast<std::size_t>(dimensions));
  checked(H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr),
          "H5Sget_simple_extent_dims " + name);
  return extent;
}

hsize_t rows_of(const hdf5::Dataset& array, const std::string& name) {
  const auto extent = extent_of(array, name);
  return extent.empty() ? 0 : extent[0];
}

namespace {

/// File and memory spaces of `count` whole rows from `first` on.
struct RowSelection {
  hdf5::Space file, memory;
};

RowSelection select_rows(const hdf5::Dataset& array, const std::string& name, hsize_t first,
                         hsize_t count) {
  std::vector<hsize_t> block = extent_of(array, name);
  if (block.empty() || first + count > block[0])
    throw hdf5::Failure(name + " has no rows " + std::to_string(first) + " to " +
                        std::to_string(first + count));
  block[0] = count;
  std::vector<hsize_t> offset(block.size(), 0);
  offset[0] = first;
  RowSelection selection;
  selection.file = hdf5::Space(checked(H5Dget_space(array.get()), "H5Dget_space " + name));
  checked(H5Sselect_hyperslab(selection.file.get(), H5S_SELECT_SET, offset.data(), nullptr, block.data(),
                              nullptr),
          "H5Sselect_hyperslab " + name);
  selection.memory =
      hdf5::Space(checked(H5Screate_simple(static_cast<int>(block.size()), block.data(), nullptr),
                          "H5Screate_simple " + name));
  return selection;
}

}  // namespace

void append_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t count,
                 const void* data) {
  std::vector<hsize_t> extent = extent_of(array, name);
  if (extent.empty()) throw hdf5::Failure(name + " can't grow");
  const hsize_t first = extent[0];
  extent[0] += count;
  checked(H5Dset_extent(array.get(), extent.data()), "H5Dset_extent " + name);
  write_rows(array, name, memory_type, first, count, data);
}

void write_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t first,
                hsize_t count, const void* data) {
  const RowSelection rows = select_rows(array, name, first, count);
  checked(H5Dwrite(array.get(), memory_type, rows.memory.get(), rows.file.get(), H5P_DEFAULT, data),
          "H5Dwrite " + name);
}

void read_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t first,
               hsize_t count, void* data) {
  const RowSelection rows = select_rows(array, name, first, count);
  checked(H5Dread(array.get(), memory_type, rows.memory.get(), rows.file.get(), H5P_DEFAULT, data),
          "H5Dread " + name);
}

}  // namespace dlscale
