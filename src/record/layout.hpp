// SPDX-License-Identifier: BSD-3-Clause
/// The objects of a run file (docs/file-format.md), created before it is sealed.
#pragma once

#include <string>
#include <vector>

#include "record/rows.hpp"
#include "record/store.hpp"

namespace dlscale {

/// Fixed sizes of texts that aren't columns.
constexpr std::size_t status_bytes = 16, name_bytes = 64, layer_name_bytes = 96;

/// "/samples/0007".
std::string samples_path(int case_id);

/// Rows × participants of about 262144 elements (2 MiB of int64), 1 to 256 rows. Smaller chunks cost a
/// write each: with 32768 elements, 10,240 ranks took 1.9 times as long as plain writing, with these 1.5
/// times.
hsize_t chunk_rows(hsize_t participants);

/// A new file's root attributes, groups, inputs and empty tables.
void create_skeleton(Store& store, const FileSpec& spec);

/// Adds launch number `launch`: its rows in /system and its cases, with ids from `first_case_id` on.
/// Returns the cases as they stand in the file.
std::vector<CaseRow> add_launch(Store& store, const FileSpec& spec, int launch, int first_case_id);

/// All rows of a table of one dimension.
template <class Row>
std::vector<Row> read_table(const Store& store, const std::string& path) {
  const hdf5::Dataset array = store.open(path);
  const TableType type = table_type<Row>();
  const hsize_t count = rows_of(array, path);
  std::vector<char> bytes(type.row_bytes * count);
  if (count > 0) read_rows(array, path, type.memory.get(), 0, count, bytes.data());
  return unpack_rows<Row>(bytes, type.row_bytes);
}

/// The launches table's texts have the size its longest host list needs, hence its own reader.
std::vector<LaunchRow> read_launches(const Store& store);

}  // namespace dlscale
