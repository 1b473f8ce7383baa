// SPDX-License-Identifier: BSD-3-Clause
#include "record/rows.hpp"

#include <algorithm>
#include <limits>

namespace dlscale {

using hdf5::checked;

CaseRow::CaseRow() {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  median_s = low_s = high_s = check_error = check_tolerance = unknown;
}

hdf5::Type text_type(std::size_t bytes) {
  hdf5::Type type(checked(H5Tcopy(H5T_C_S1), "H5Tcopy"));
  checked(H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1)), "H5Tset_size");
  checked(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "H5Tset_strpad");
  checked(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset");
  return type;
}

TableType make_table_type(const std::vector<TableColumn>& columns) {
  TableType table;
  for (const TableColumn& column : columns) table.row_bytes += column.size;
  table.file = hdf5::Type(checked(H5Tcreate(H5T_COMPOUND, table.row_bytes), "H5Tcreate"));
  table.memory = hdf5::Type(checked(H5Tcreate(H5T_COMPOUND, table.row_bytes), "H5Tcreate"));
  std::size_t offset = 0;
  for (const TableColumn& column : columns) {
    const bool is_text = column.file_type == H5I_INVALID_HID;
    const hdf5::Type text = is_text ? text_type(column.size) : hdf5::Type();
    checked(H5Tinsert(table.file.get(), column.name.c_str(), offset,
                      is_text ? text.get() : column.file_type),
            "H5Tinsert " + column.name);
    checked(H5Tinsert(table.memory.get(), column.name.c_str(), offset,
                      is_text ? text.get() : column.memory_type),
            "H5Tinsert " + column.name);
    offset += column.size;
    if (!column.unit.empty())
      table.units += (table.units.empty() ? "" : " ") + column.name + "=" + column.unit;
  }
  return table;
}

}  // namespace dlscale
