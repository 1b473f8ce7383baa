// SPDX-License-Identifier: BSD-3-Clause
/// What the tests of image data share.
#pragma once

#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "nn/data/dataset.hpp"

namespace dlscale::nn {

using Bytes = std::vector<std::uint8_t>;

/// A new folder that is gone after the test.
struct ScratchFolder {
  std::filesystem::path path;
  ScratchFolder() {
    static int number = 0;
    path = std::filesystem::temp_directory_path() /
           ("dlscale_data_" + std::to_string(::getpid()) + "_" + std::to_string(number++));
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

inline Bytes read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

inline void write_bytes(const std::string& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// IDX as the format's description has it, written without the code under test.
inline Bytes idx_bytes(const std::vector<std::uint32_t>& dims, const Bytes& values) {
  Bytes out = {0, 0, 8, static_cast<std::uint8_t>(dims.size())};
  for (const std::uint32_t dim : dims)
    for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(dim >> shift));
  out.insert(out.end(), values.begin(), values.end());
  return out;
}

/// The sentence of the refusal, checked to be one about bad input; "" if `act` succeeds.
template <class Act>
std::string refusal(const Act& act, ExitCode code = ExitCode::bad_input) {
  try {
    act();
    return {};
  } catch (const Error& e) {
    return e.exit_code() == code ? e.what() : "WRONG EXIT CODE: " + std::string(e.what());
  } catch (const std::exception& e) {
    return "NO ERROR OF OURS: " + std::string(e.what());
  }
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Deterministic on every platform.
inline std::size_t below(std::mt19937_64& engine, std::size_t n) {
  return static_cast<std::size_t>(engine() % n);
}

inline Bytes random_bytes(std::mt19937_64& engine, std::size_t count, std::size_t values = 256) {
  Bytes out(count);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(below(engine, values));
  return out;
}

inline const std::vector<std::string> four_files = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                                    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

/// A small, correct set: 12 training and 7 test images of 5 × 4.
struct SmallSet {
  std::vector<Bytes> files;  // in the order of four_files
  SmallSet() {
    std::mt19937_64 engine(4);
    files = {
        idx_bytes({12, 5, 4}, random_bytes(engine, 240)), idx_bytes({12}, random_bytes(engine, 12, 10)),
        idx_bytes({7, 5, 4}, random_bytes(engine, 140)), idx_bytes({7}, random_bytes(engine, 7, 10))};
  }
  void write(const ScratchFolder& folder) const {
    for (std::size_t i = 0; i < 4; ++i) write_bytes(folder / four_files[i], files[i]);
  }
};

}  // namespace dlscale::nn
