// SPDX-License-Identifier: BSD-3-Clause
#include "measure/batch_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace dlscale {
namespace {

// A UTF-8 text cut to `most` bytes, never inside a character.
std::string_view cut_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

template <class T>
void put(std::vector<std::byte>& bytes, const std::vector<T>& values) {
  const auto raw = std::as_bytes(std::span(values));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

// Reads `rows` × `width` values of participant `column` into an array [row, participant, width].
template <class T>
void take(std::span<const std::byte>& bytes, std::size_t rows, std::size_t width, std::size_t column,
          std::size_t columns, std::vector<T>& out) {
  for (std::size_t row = 0; row < rows; ++row) {
    std::memcpy(out.data() + (row * columns + column) * width, bytes.data(), width * sizeof(T));
    bytes = bytes.subspan(width * sizeof(T));
  }
}

}  // namespace

std::vector<std::byte> pack(const OwnSamples& own) {
  std::vector<std::byte> bytes;
  bytes.reserve(2 * own.start.size() * sizeof(std::int64_t) + failure_bytes +
                sizeof(double) * (own.probes.size() + own.parts.size() + own.layers.size() +
                                  own.buckets.size() + own.epoch.size()));
  put(bytes, own.start);
  put(bytes, own.stop);
  for (const auto* values : {&own.probes, &own.parts, &own.layers, &own.buckets, &own.epoch})
    put(bytes, *values);
  std::array<std::byte, failure_bytes> failure{};
  const std::string_view text = cut_text(own.failure, failure_bytes - 1);
  std::memcpy(failure.data(), text.data(), text.size());
  bytes.insert(bytes.end(), failure.begin(), failure.end());
  return bytes;
}

void unpack(std::span<const std::byte> all, const std::vector<int>& columns, const Widths& widths,
            BatchSamples& out) {
  const auto rows = static_cast<std::size_t>(out.batch.rows());
  const std::size_t count = columns.size(), epoch = out.batch.block >= 0 ? widths.epochs : 0;
  const std::size_t row_bytes =
      rows * (2 * sizeof(std::int64_t) +
              (widths.probes + widths.parts + widths.layers + widths.bucket_times) * sizeof(double)) +
      epoch * sizeof(double) + failure_bytes;
  out.participants = static_cast<std::int32_t>(count);
  out.start.resize(rows * count);
  out.stop.resize(rows * count);
  out.probes.resize(rows * count * widths.probes);
  out.parts.resize(rows * count * widths.parts);
  out.layers.resize(rows * count * widths.layers);
  out.buckets.resize(rows * count * widths.bucket_times);
  out.epoch.resize(count * epoch);
  for (std::size_t p = 0; p < count; ++p) {
    auto bytes = all.subspan(static_cast<std::size_t>(columns[p]) * row_bytes, row_bytes);
    take(bytes, rows, 1, p, count, out.start);
    take(bytes, rows, 1, p, count, out.stop);
    take(bytes, rows, widths.probes, p, count, out.probes);
    take(bytes, rows, widths.parts, p, count, out.parts);
    take(bytes, rows, widths.layers, p, count, out.layers);
    take(bytes, rows, widths.bucket_times, p, count, out.buckets);
    take(bytes, 1, epoch, p, count, out.epoch);
    const char* text = reinterpret_cast<const char*>(bytes.data());
    if (*text != '\0') out.failures.push_back({columns[p], std::string(text)});
  }
}

}  // namespace dlscale
