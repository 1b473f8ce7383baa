// SPDX-License-Identifier: BSD-3-Clause
/// The growing arrays of one case, open for appending.
#pragma once

#include <string>
#include <vector>

#include "record/layout.hpp"

namespace dlscale {

class SampleArrays {
 public:
  SampleArrays(const Store& store, int case_id);

  /// Throws std::invalid_argument, having written nothing, where a vector's size doesn't fit the shape.
  void append(const SampleRows& rows);
  void close();

 private:
  struct Array {
    std::string name;
    hid_t memory_type;
    hsize_t row_elements;  ///< elements per sample (of epochs: per epoch)
    hdf5::Dataset array;
  };
  struct Piece {
    Array* array;
    hsize_t rows;
    const void* data;
  };
  std::vector<Piece> pieces(const SampleRows& rows);
  Array* find(const std::string& name);

  std::string group_;
  std::vector<Array> arrays_;
};

/// Samples every array of the case has: a kill inside an append leaves some longer than others.
struct RowCounts {
  hsize_t common = 0, longest = 0;
  bool has_epochs = false;
  hsize_t epochs = 0;  ///< rows of `epochs`, which grows by blocks
};
RowCounts count_rows(const Store& store, int case_id);

/// The largest chunk of any of the case's arrays.
hsize_t largest_chunk_bytes(const Store& store, int case_id);

/// Cuts all arrays of a case to `rows` samples. Only in a private store.
void cut_rows(const Store& store, int case_id, hsize_t rows);

/// Cuts `epochs` to `rows`. Only in a private store.
void cut_epochs(const Store& store, int case_id, hsize_t rows);

/// Reads the last row of every array; throws hdf5::Failure naming the one that can't be read.
void check_readable(const Store& store, int case_id);

/// Rows of `epochs` from `first` on that hold something: a row whose data never reached the file reads
/// as zero, and no epoch takes no time. Stops at the first that doesn't.
hsize_t count_written_epochs(const Store& store, int case_id, hsize_t first);

/// `repeats` of the samples from `first` on.
std::vector<std::int32_t> read_repeats(const Store& store, int case_id, hsize_t first, hsize_t count);

}  // namespace dlscale
