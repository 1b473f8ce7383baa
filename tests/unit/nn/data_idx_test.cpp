// SPDX-License-Identifier: BSD-3-Clause
#include "data_tools.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;
using namespace dlscale::nn;

TEST_CASE("IDX files are read plain and packed, whatever their names") {
  const ScratchFolder folder;
  std::mt19937_64 engine(1);
  for (const std::vector<std::uint32_t>& dims :
       {std::vector<std::uint32_t>{1}, {70000}, {3, 5, 7}, {300, 28, 28}, {2, 3, 4, 5}}) {
    std::size_t count = 1;
    for (const std::uint32_t dim : dims) count *= dim;
    const Bytes values = random_bytes(engine, count), bytes = idx_bytes(dims, values);
    for (const Bytes& content : {bytes, gzipped(bytes)}) {
      write_bytes(folder / "file", content);
      const IdxArray array = read_idx(folder / "file");
      CHECK(array.dims == std::vector<std::int64_t>(dims.begin(), dims.end()));
      CHECK(array.values == values);
    }
  }
}

TEST_CASE("a packed file longer than one piece, and one that packs as densely as gzip can") {
  const ScratchFolder folder;
  std::mt19937_64 engine(2);
  const Bytes values = random_bytes(engine, 9'000'000, 3);
  write_bytes(folder / "file", gzipped(idx_bytes({9'000'000}, values)));
  CHECK(read_idx(folder / "file").values == values);
  const Bytes zeros(18'000'000);
  const Bytes packed = gzipped(idx_bytes({18'000'000}, zeros));
  REQUIRE(packed.size() * 1000 < zeros.size());
  write_bytes(folder / "file", packed);
  CHECK(read_idx(folder / "file").values == zeros);
}

TEST_CASE("what is written can be read, and has the bytes of the format") {
  const ScratchFolder folder;
  std::mt19937_64 engine(3);
  const IdxArray array{{2, 3, 4}, random_bytes(engine, 24)};
  write_idx(folder / "file", array);
  CHECK(read_bytes(folder / "file") == idx_bytes({2, 3, 4}, array.values));
  CHECK(read_idx(folder / "file").values == array.values);
  CHECK(contains(refusal([&] { write_idx(folder / "no/file", array); }, ExitCode::output_failed),
                 folder / "no/file"));
  CHECK(contains(refusal(
                     [&] {
                       write_idx(folder / "file", {{2, 3}, Bytes(5)});
                     },
                     ExitCode::output_failed),
                 "5 values are no array of 2 × 3"));
}

TEST_CASE("each thing that can be wrong with an IDX file has its own sentence") {
  const ScratchFolder folder;
  const auto sentence_of = [&](const Bytes& bytes) {
    write_bytes(folder / "file", bytes);
    const std::string text = refusal([&] { read_idx(folder / "file"); });
    CHECK(text.find("can't use '" + (folder / "file") + "'") == 0);
    return text;
  };
  Bytes good = idx_bytes({2, 3}, Bytes(6));
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = good;
    bytes.at(at) = value;
    return bytes;
  };
  CHECK(contains(sentence_of({}), "ends within its header"));
  CHECK(contains(sentence_of(Bytes(good.begin(), good.begin() + 9)), "ends within its header"));
  CHECK(contains(sentence_of({'P', 'K', 3, 4, 5}), "no IDX file: it begins with 50 4b 03 04"));
  CHECK(contains(sentence_of(with(2, 0x0d)), "32-bit floats, only unsigned bytes"));
  CHECK(contains(sentence_of(with(2, 0x77)), "element type 0x77 is unknown"));
  CHECK(contains(sentence_of(with(3, 0)), "0 dimensions"));
  CHECK(contains(sentence_of(with(3, 200)), "200 dimensions"));
  CHECK(contains(sentence_of(with(7, 0)), "promises no values: 0 × 3"));
  CHECK(contains(sentence_of(with(7, 1)), "18 bytes, its header (1 × 3) needs 15"));
  CHECK(contains(sentence_of(with(7, 3)), "18 bytes, its header (3 × 3) needs 21"));
  const Bytes giant = idx_bytes({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, Bytes(6));
  CHECK(contains(sentence_of(giant),
                 "promises 4294967295 × 4294967295 × 4294967295 × 4294967295 values, more"));
  CHECK(contains(sentence_of(gzipped(giant)), "bytes of gzip can hold"));
  CHECK(contains(sentence_of(gzipped(with(7, 3))), "it is short: 6 of the 9 values"));
  CHECK(contains(sentence_of(gzipped(with(7, 1))), "goes on after the 3 values"));

  const Bytes packed = gzipped(good);
  Bytes bytes = packed;
  bytes.push_back(0);
  CHECK(contains(sentence_of(bytes), "something follows its gzip stream"));
  for (std::size_t length = 2; length < packed.size(); ++length)
    CHECK(contains(
        sentence_of(Bytes(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(length))),
        "cut off"));
  bytes = packed;
  bytes.at(bytes.size() - 6) ^= 1;
  CHECK(contains(sentence_of(bytes), "damaged: incorrect data check"));
  CHECK(contains(refusal([&] { read_idx(folder / "none"); }), "there is no such file"));
  CHECK(contains(refusal([&] { read_idx(folder.path.string()); }), "no regular file"));
}
