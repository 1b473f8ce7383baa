// SPDX-License-Identifier: BSD-3-Clause
/// A file's bytes from front to back, unpacked on the way if it is gzip (told by its content, not its
/// name).
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dlscale::nn {

class ByteFile {
 public:
  /// Throws Error(bad_input), as all of it, naming the file: missing, not a file, unreadable.
  explicit ByteFile(std::string path);
  ~ByteFile();
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  /// Fills `out` as far as the content goes; fewer bytes only at its end. A gzip stream that is damaged,
  /// cut off or followed by something is refused at the latest with the read that meets its end.
  std::size_t read(std::span<std::uint8_t> out);

  const std::string& path() const { return path_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  bool packed() const { return inflater_ != nullptr; }
  /// No content of this file can be longer: deflate packs at most 1032 : 1.
  std::uint64_t content_limit() const;

 private:
  struct Inflater;
  std::size_t read_raw(std::span<std::uint8_t> out);
  std::size_t unpack(std::span<std::uint8_t> out);

  std::string path_;
  std::ifstream file_;
  std::uint64_t file_bytes_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

/// Error(bad_input) about a data file: "can't use 'path' (why); fetch or write it again …".
[[noreturn]] void refuse_file(const std::string& path, const std::string& why);

}  // namespace dlscale::nn
