// SPDX-License-Identifier: BSD-3-Clause
// Folders with one damaged file, hundreds of ways. Every damage is of a kind that can be noticed, so
// every one must be refused with a sentence that names the file.
#include <cstdlib>
#include <map>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;
using namespace dlscale::nn;

namespace {

using Engine = std::mt19937_64;

std::size_t header_size(const Bytes& idx) {
  return 4 + 4 * std::size_t{idx[3]};
}

Bytes flip_in_header(Bytes bytes, Engine& engine) {
  bytes[below(engine, header_size(bytes))] ^= static_cast<std::uint8_t>(1U << below(engine, 8));
  return bytes;
}

Bytes cut(Bytes bytes, Engine& engine) {
  bytes.resize(below(engine, bytes.size()));
  return bytes;
}

Bytes lengthen(Bytes bytes, Engine& engine) {
  const Bytes more = random_bytes(engine, 1 + below(engine, 300));
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

// Bits of the gzip header that don't matter (time, system, name of the level) stay; the rest is magic,
// method, reserved flags, the stream and its check sums.
Bytes damage_gzip(Bytes bytes, Engine& engine) {
  constexpr std::size_t header = 10;
  switch (below(engine, 4)) {
    case 0:
      bytes[2] ^= static_cast<std::uint8_t>(1U << below(engine, 8));
      break;  // method
    case 1:
      bytes[3] ^= static_cast<std::uint8_t>(0x20U << below(engine, 3));
      break;
    case 2:
      bytes[bytes.size() - 1 - below(engine, 8)] ^= static_cast<std::uint8_t>(1U << below(engine, 8));
      break;
    default: {
      const std::size_t length = std::min<std::size_t>(4, bytes.size() - 8 - header);
      const std::size_t at = header + below(engine, bytes.size() - 8 - header - length);
      for (std::size_t i = 0; i < length; ++i)
        bytes[at + i] ^= static_cast<std::uint8_t>(1 + below(engine, 255));
    }
  }
  return bytes;
}

Bytes bad_label(Bytes bytes, Engine& engine) {
  bytes[8 + below(engine, bytes.size() - 8)] = static_cast<std::uint8_t>(10 + below(engine, 246));
  return bytes;
}

int damages() {
  const char* wanted = std::getenv("DLSCALE_FUZZ_CASES");
  return wanted ? std::max(1, std::atoi(wanted)) : 800;
}

}  // namespace

TEST_CASE("a damaged file is refused and named, hundreds of ways") {
  const SmallSet small;
  const ScratchFolder folder;
  Engine engine(20);
  std::map<std::string, int> seen;
  small.write(folder);
  for (int i = 0; i < damages(); ++i) {
    const std::size_t which = below(engine, 4);
    const std::size_t label_file = 1 + 2 * below(engine, 2);
    const Bytes& good = small.files[which];
    std::size_t hit = which;
    std::string kind;
    Bytes bad;
    switch (below(engine, 9)) {
      case 0:
        kind = "header flip", bad = flip_in_header(good, engine);
        break;
      case 1:
        kind = "cut", bad = cut(good, engine);
        break;
      case 2:
        kind = "longer", bad = lengthen(good, engine);
        break;
      case 3:
        kind = "gzip damage", bad = damage_gzip(gzipped(good), engine);
        break;
      case 4:
        kind = "gzip cut", bad = cut(gzipped(good), engine);
        break;
      case 5:
        kind = "gzip longer", bad = lengthen(gzipped(good), engine);
        break;
      case 6:
        kind = "packed header flip", bad = gzipped(flip_in_header(good, engine));
        break;
      case 7: {
        kind = "bad label", hit = label_file;
        bad = bad_label(small.files[label_file], engine);
        if (below(engine, 2) == 1) bad = gzipped(bad);
        break;
      }
      default:
        kind = "swapped", bad = small.files[(which + 1 + below(engine, 3)) % 4];
    }
    const std::string victim = folder / four_files[hit];
    write_bytes(victim, bad);
    const std::string text = refusal([&] { load_folder(folder.path.string()); });
    INFO(i << ": " << kind << " of " << victim << ": " << text);
    // Where two files disagree, both are named.
    CHECK(contains(text, "'" + victim + "'"));
    CHECK(text.find("can't use '") == 0);
    ++seen[kind];
    write_bytes(victim, small.files[hit]);
  }
  if (damages() >= 500) CHECK(seen.size() == 9);
}

TEST_CASE("two files that stand for each other are refused") {
  const SmallSet small;
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t b = a + 1; b < 4; ++b) {
      const ScratchFolder folder;
      small.write(folder);
      write_bytes(folder / four_files[a], small.files[b]);
      write_bytes(folder / four_files[b], small.files[a]);
      INFO(four_files[a] << " and " << four_files[b]);
      CHECK(contains(refusal([&] { load_folder(folder.path.string()); }), "can't use '"));
    }
}

TEST_CASE("a plain file has no check sum: other pixels are other images") {
  const SmallSet small;
  const ScratchFolder folder;
  small.write(folder);
  Bytes bytes = small.files[0];
  bytes[16 + 33] ^= 4;
  write_bytes(folder / four_files[0], bytes);
  CHECK(load_folder(folder.path.string())->train.pixels[33] == bytes[16 + 33]);
}
