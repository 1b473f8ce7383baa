// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.hpp"

namespace dlscale::nn {

struct ByteFile::Inflater {
  z_stream stream{};
  std::array<std::uint8_t, 1 << 16> input;
  bool ended = false;

  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
};

void refuse_file(const std::string& path, const std::string& why) {
  throw Error(ExitCode::bad_input, "can't use '" + path + "'", why,
              "fetch or write it again (jobs/fetch-data.sh fetches the published sets)");
}

ByteFile::ByteFile(std::string path) : path_(std::move(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  if (!std::filesystem::exists(status)) refuse_file(path_, "there is no such file");
  if (!std::filesystem::is_regular_file(status)) refuse_file(path_, "it is no regular file");
  file_bytes_ = std::filesystem::file_size(path_, error);
  file_.open(path_, std::ios::binary);
  if (error || !file_) refuse_file(path_, "it can't be read");

  std::array<std::uint8_t, 2> first{};
  const bool packed = read_raw(first) == 2 && first[0] == 0x1f && first[1] == 0x8b;
  file_.clear();
  file_.seekg(0);
  if (!packed) return;
  inflater_ = std::make_unique<Inflater>();
  constexpr int gzip_only = 16;
  if (inflateInit2(&inflater_->stream, MAX_WBITS + gzip_only) != Z_OK)
    refuse_file(path_, "zlib can't be started");
}

ByteFile::~ByteFile() = default;

std::uint64_t ByteFile::content_limit() const {
  return packed() ? file_bytes_ * 1032 : file_bytes_;
}

std::size_t ByteFile::read_raw(std::span<std::uint8_t> out) {
  file_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  if (file_.bad()) refuse_file(path_, "reading failed");
  return static_cast<std::size_t>(file_.gcount());
}

std::size_t ByteFile::read(std::span<std::uint8_t> out) {
  return packed() ? unpack(out) : read_raw(out);
}

std::size_t ByteFile::unpack(std::span<std::uint8_t> out) {
  z_stream& stream = inflater_->stream;
  std::size_t done = 0;
  while (done < out.size() && !inflater_->ended) {
    if (stream.avail_in == 0) {
      stream.next_in = inflater_->input.data();
      stream.avail_in = static_cast<uInt>(read_raw(inflater_->input));
      if (stream.avail_in == 0) refuse_file(path_, "its gzip stream is cut off");
    }
    const std::size_t room = std::min<std::size_t>(out.size() - done, 1U << 30);
    stream.next_out = out.data() + done;
    stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream, Z_NO_FLUSH);
    done += room - stream.avail_out;
    if (code == Z_STREAM_END) {
      inflater_->ended = true;
      if (stream.avail_in != 0 || file_.peek() != std::ifstream::traits_type::eof())
        refuse_file(path_, "something follows its gzip stream");
    } else if (code != Z_OK) {
      refuse_file(path_, std::string("its gzip stream is damaged: ") +
                             (stream.msg != nullptr ? stream.msg : "no progress"));
    }
  }
  return done;
}

}  // namespace dlscale::nn
