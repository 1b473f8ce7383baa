// SPDX-License-Identifier: BSD-3-Clause
/// Seeded data made on the device: element i is what device/random.hpp says, rounded to the type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cuda/memory.hpp"

namespace dlscale::cuda {

/// Element types of arrays on the device; fp8: E4M3.
enum class Element { f64, f32, bf16, f16, fp8, i8, i32 };
std::size_t element_bytes(Element type);

/// values[i] = uniform_at(stream_key(seed, stream), i) rounded to the type; integers: 1 … 127 in size
/// with a random sign (i8).
void fill_uniform(Element type, void* values, std::size_t count, std::uint64_t seed,
                  std::uint64_t stream_id, const Stream& stream);
/// One dimension of blocks that are dealt out: `count` indices lie here, blocks part, part + parts, …
struct DealtHere {
  std::int64_t count = 0, block = 1, parts = 1, part = 0;
};
/// Part of a column-major matrix: element (i, j) of the whole is that of fill_uniform() at i + j ·
/// whole_rows.
void fill_dealt(Element type, void* values, const DealtHere& rows, const DealtHere& cols,
                std::int64_t whole_rows, std::uint64_t seed, std::uint64_t stream_id,
                const Stream& stream);

/// What fill_uniform() makes of an element, on the host; exactly representable in double.
double uniform_rounded(Element type, std::uint64_t key, std::uint64_t index);

/// Values as float64 (f64, i32) or float32, exactly.
void widen(Element type, const void* from, double* to, std::size_t count, const Stream& stream);
void widen(Element type, const void* from, float* to, std::size_t count, const Stream& stream);

/// The whole array on the host, widened piece by piece on the device.
template <class W>
std::vector<W> read_widened(Element type, const DeviceBuffer<std::byte>& array, const Stream& stream) {
  constexpr std::size_t piece = std::size_t{8} << 20;  // elements
  const std::size_t size = element_bytes(type), count = array.size() / size;
  std::vector<W> values(count);
  DeviceBuffer<W> wide(std::min(piece, count));
  for (std::size_t at = 0; at < count; at += piece) {
    const std::size_t n = std::min(piece, count - at);
    widen(type, array.data() + at * size, wide.data(), n, stream);
    DLSCALE_CUDA(
        cudaMemcpyAsync(&values[at], wide.data(), n * sizeof(W), cudaMemcpyDeviceToHost, stream.get()));
  }
  stream.wait();
  return values;
}

}  // namespace dlscale::cuda
