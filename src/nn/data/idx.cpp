// SPDX-License-Identifier: BSD-3-Clause
// IDX: 0 0 type rank, then `rank` sizes of 32 bits, big-endian, then the values, last index fastest.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "nn/data/dataset.hpp"
#include "nn/data/gzip.hpp"

namespace dlscale::nn {
namespace {

constexpr std::uint8_t unsigned_byte = 0x08;
constexpr std::size_t most_dimensions = 4;

// Other element types of the format, so that the refusal can name them.
const char* type_name(std::uint8_t type) {
  switch (type) {
    case 0x09:
      return "signed bytes";
    case 0x0b:
      return "16-bit integers";
    case 0x0c:
      return "32-bit integers";
    case 0x0d:
      return "32-bit floats";
    case 0x0e:
      return "64-bit floats";
    default:
      return nullptr;
  }
}

void read_exactly(ByteFile& file, std::span<std::uint8_t> out) {
  if (file.read(out) != out.size()) refuse_file(file.path(), "it ends within its header");
}

std::vector<std::int64_t> read_header(ByteFile& file) {
  std::array<std::uint8_t, 4> magic{};
  read_exactly(file, magic);
  if (magic[0] != 0 || magic[1] != 0)
    refuse_file(file.path(), fmt::format("it is no IDX file: it begins with {:02x}, not with 00 00 08",
                                         fmt::join(magic, " ")));
  if (magic[2] != unsigned_byte) {
    const char* name = type_name(magic[2]);
    refuse_file(file.path(), name ? fmt::format("it holds {}, only unsigned bytes are read", name)
                                  : fmt::format("its element type {:#04x} is unknown", magic[2]));
  }
  if (magic[3] < 1 || magic[3] > most_dimensions)
    refuse_file(file.path(),
                fmt::format("it has {} dimensions, not 1 to {}", magic[3], most_dimensions));
  std::vector<std::int64_t> dims(magic[3]);
  for (std::int64_t& dim : dims) {
    std::array<std::uint8_t, 4> bytes{};
    read_exactly(file, bytes);
    for (const std::uint8_t byte : bytes) dim = dim << 8 | byte;
  }
  return dims;
}

std::string shape_text(const std::vector<std::int64_t>& dims) {
  return fmt::format("{}", fmt::join(dims, " × "));
}

/// Number of values, if a file of this size can hold them at all.
std::uint64_t checked_count(const ByteFile& file, const std::vector<std::int64_t>& dims) {
  std::uint64_t count = 1;
  for (const std::int64_t dim : dims) {
    if (dim == 0) refuse_file(file.path(), "its header promises no values: " + shape_text(dims));
    // Compared by division: the product may not fit 64 bits.
    if (count > file.content_limit() / static_cast<std::uint64_t>(dim))
      refuse_file(file.path(),
                  fmt::format("its header promises {} values, more than its {} bytes{} can hold",
                              shape_text(dims), file.file_bytes(), file.packed() ? " of gzip" : ""));
    count *= static_cast<std::uint64_t>(dim);
  }
  const std::uint64_t whole = 4 + 4 * dims.size() + count;
  if (!file.packed() && whole != file.file_bytes())
    refuse_file(file.path(), fmt::format("it has {} bytes, its header ({}) needs {}", file.file_bytes(),
                                         shape_text(dims), whole));
  return count;
}

/// A plain file's size was checked, so all is read at once. What gzip holds is known at its end only:
/// memory grows with what has come.
std::vector<std::uint8_t> read_values(ByteFile& file, std::uint64_t count, const std::string& shape) {
  constexpr std::uint64_t piece = 8U << 20;
  std::vector<std::uint8_t> values;
  while (values.size() < count) {
    const std::size_t before = values.size();
    const std::uint64_t step = file.packed() ? std::max<std::uint64_t>(piece, before) : count;
    const auto wanted = static_cast<std::size_t>(std::min(step, count - before));
    values.resize(before + wanted);
    const std::size_t got = file.read(std::span(values).subspan(before));
    if (got != wanted)
      refuse_file(file.path(), fmt::format("it is short: {} of the {} values of its header ({})",
                                           before + got, count, shape));
  }
  std::array<std::uint8_t, 1> more{};
  if (file.read(more) != 0)
    refuse_file(file.path(),
                fmt::format("it goes on after the {} values of its header ({})", count, shape));
  return values;
}

}  // namespace

IdxArray read_idx(const std::string& path) {
  ByteFile file(path);
  IdxArray array;
  array.dims = read_header(file);
  const std::uint64_t count = checked_count(file, array.dims);
  array.values = read_values(file, count, shape_text(array.dims));
  return array;
}

void write_idx(const std::string& path, const IdxArray& array) {
  std::uint64_t count = 1;
  std::vector<std::uint8_t> header = {0, 0, unsigned_byte, static_cast<std::uint8_t>(array.dims.size())};
  for (const std::int64_t dim : array.dims) {
    count *= static_cast<std::uint64_t>(dim);
    for (int shift = 24; shift >= 0; shift -= 8)
      header.push_back(static_cast<std::uint8_t>(dim >> shift));
  }
  if (array.dims.empty() || array.dims.size() > most_dimensions || count != array.values.size())
    throw Error(
        ExitCode::output_failed, "can't write '" + path + "'",
        fmt::format("{} values are no array of {}", array.values.size(), shape_text(array.dims)));
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(header.data()), static_cast<std::streamsize>(header.size()));
  file.write(reinterpret_cast<const char*>(array.values.data()),
             static_cast<std::streamsize>(array.values.size()));
  file.close();
  if (!file)
    throw Error(ExitCode::output_failed, "can't write '" + path + "'", "the file system refused",
                "check the folder's permissions and free space");
}

}  // namespace dlscale::nn
