// SPDX-License-Identifier: BSD-3-Clause
/// One open HDF5 file that refuses creation once sealed. HDF5 1.10 itself polices nothing: an object
/// created while the file is in SWMR mode is lost, or takes others with it, when the program is killed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/hdf5_call.hpp"

namespace dlscale {

/// What describes an array; stored as attributes `unit`, `description`, `dimensions`.
struct ArrayInfo {
  std::string unit, description;
  std::string dimensions;  ///< names, in order: "sample participant"
};

/// Shape of a new array. Empty `chunk` means contiguous; a chunked array can grow along its first
/// dimension.
struct ArrayShape {
  std::vector<hsize_t> extent, chunk;
};

class Store {
 public:
  static Store create(const std::string& path);  ///< exclusively
  static Store open_reader(
      const std::string& path);  ///< as SWMR reader: also what is written, or was cut off
  /// For changes that need not survive a kill. Clears stale flags; lengthens the file by `margin_bytes`
  /// (at least a page) and records its real end.
  static Store open_private(const std::string& path, std::int64_t margin_bytes);
  static bool opens_plainly(const std::string& path);

  /// Ends creation and lets others read while we append.
  void seal();
  bool sealed() const { return sealed_; }

  void create_group(const std::string& path);
  hdf5::Dataset create_array(const std::string& path, hid_t file_type, const ArrayShape& shape,
                             const ArrayInfo& info);
  void create_text(const std::string& path, std::string_view text, std::size_t bytes,
                   const ArrayInfo& info);
  void create_texts(const std::string& path, const std::vector<std::string>& texts, std::size_t bytes,
                    const ArrayInfo& info);
  void remove(const std::string& path);
  void set_attribute(const std::string& object, const char* name, std::string_view text);
  void set_attribute(const std::string& object, const char* name, std::int32_t value);

  bool exists(const std::string& path) const;
  hdf5::Dataset open(const std::string& path) const;
  std::string read_text(const std::string& path) const;
  std::vector<std::string> read_texts(const std::string& path) const;
  std::string text_attribute(const char* name) const;  ///< of the root; empty if absent
  std::int32_t number_attribute(const char* name) const;

  void write_text(const std::string& path,
                  std::string_view text);  ///< in place, cut to the array's size
  void flush();
  void close();  ///< checked; the destructor closes silently
  hid_t id() const { return file_.get(); }

 private:
  explicit Store(hdf5::File file) : file_(std::move(file)) {}
  void demand_creation(const std::string& object) const;

  hdf5::File file_;
  bool sealed_ = false;
};

std::vector<hsize_t> extent_of(const hdf5::Dataset& array, const std::string& name);
hsize_t rows_of(const hdf5::Dataset& array,
                const std::string& name);  ///< extent along the first dimension

/// Grows the array by `count` rows and writes them.
void append_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t count,
                 const void* data);
void write_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t first,
                hsize_t count, const void* data);
void read_rows(const hdf5::Dataset& array, const std::string& name, hid_t memory_type, hsize_t first,
               hsize_t count, void* data);

}  // namespace dlscale
