// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cmath>
#include <thread>

#include "data_tools.hpp"
#include "dlscale_catch.hpp"
#include "nn/data/folder.hpp"

using namespace dlscale;
using namespace dlscale::nn;
namespace fs = std::filesystem;

namespace {

/// Pixels with the given sum and sum of squares: mostly 255, 100 and 0, the rest found greedily, since
/// sum(v²) − sum(v) = sum(v (v − 1)) is even.
ImageSet set_with_moments(std::int64_t count, std::int64_t sum, std::int64_t squares) {
  ImageSet set{count, 28, 28, {}, {}};
  for (std::int64_t y = (255 * sum - squares) / 15500;; --y) {
    const std::int64_t x = std::min((sum - 100 * y) / 255, (squares - 10'000 * y) / 65025);
    std::int64_t rest = squares - sum - x * 64770 - y * 9900, ones = sum - 255 * x - 100 * y;
    Bytes others;
    for (std::int64_t v = 255; v > 1; --v)
      for (; rest >= v * (v - 1); rest -= v * (v - 1), ones -= v)
        others.push_back(static_cast<std::uint8_t>(v));
    if (rest != 0 || ones < 0) continue;
    set.pixels.assign(static_cast<std::size_t>(x), 255);
    set.pixels.insert(set.pixels.end(), static_cast<std::size_t>(y), 100);
    set.pixels.insert(set.pixels.end(), others.begin(), others.end());
    set.pixels.insert(set.pixels.end(), static_cast<std::size_t>(ones), 1);
    set.pixels.resize(static_cast<std::size_t>(count * 28 * 28));
    return set;
  }
}

}  // namespace

TEST_CASE("a folder is loaded under every usual name") {
  const SmallSet small;
  for (const char separator : {'-', '.'})
    for (const bool packed : {false, true}) {
      const ScratchFolder folder;
      for (std::size_t i = 0; i < 4; ++i) {
        std::string name = four_files[i];
        name[name.rfind("-idx")] = separator;
        write_bytes(folder / (packed ? name + ".gz" : name),
                    packed ? gzipped(small.files[i]) : small.files[i]);
      }
      const auto set = load_folder(folder.path.string() + "/");
      CHECK(set->name == folder.path.filename().string());
      CHECK(set->origin == fs::canonical(folder.path).string());
      CHECK_FALSE(set->synthetic);
      CHECK(set->train.count == 12);
      CHECK(set->train.height == 5);
      CHECK(set->train.width == 4);
      CHECK(set->test.count == 7);
      CHECK(set->train.pixels == Bytes(small.files[0].begin() + 16, small.files[0].end()));
      CHECK(set->test.labels == Bytes(small.files[3].begin() + 8, small.files[3].end()));
    }
}

TEST_CASE("an unknown set is normalised by its training pixels") {
  const ScratchFolder folder;
  SmallSet().write(folder);
  write_bytes(folder / four_files[0], idx_bytes({4, 1, 1}, {0, 0, 255, 51}));
  write_bytes(folder / four_files[1], idx_bytes({4}, {0, 0, 0, 0}));
  write_bytes(folder / four_files[2], idx_bytes({1, 1, 1}, {200}));
  write_bytes(folder / four_files[3], idx_bytes({1}, {0}));
  const auto set = load_folder(folder.path.string());
  CHECK(set->normalisation.mean == Approx(0.3));
  CHECK(set->normalisation.deviation == Approx(std::sqrt((0.09 + 0.09 + 0.49 + 0.01) / 4)));
  write_bytes(folder / four_files[0], idx_bytes({4, 1, 1}, {7, 7, 7, 7}));
  CHECK(load_folder(folder.path.string())->normalisation.deviation == 1);
}

TEST_CASE("published sets are known by the sums of their pixels") {
  struct Case {
    const char* name;
    std::int64_t sum, squares;
    double mean, deviation;
  };
  for (const Case& c : {Case{"mnist", 1'567'298'545, 342'590'800'147, 0.1307, 0.3081},
                        Case{"fashion-mnist", 3'431'114'169, 631'470'052'347, 0.2860, 0.3530}}) {
    INFO(c.name);
    ImageSet set = set_with_moments(60'000, c.sum, c.squares);
    const auto found = recognise(set);
    REQUIRE(found.has_value());
    CHECK(found->name == c.name);
    CHECK(found->normalisation.mean == c.mean);
    CHECK(found->normalisation.deviation == c.deviation);
    // The published constants are the set's own mean and deviation to four digits.
    const Normalisation own = measure_pixels(set);
    CHECK(std::abs(own.mean - c.mean) <= 5.1e-5);
    CHECK(std::abs(own.deviation - c.deviation) <= 5.1e-5);
    set.pixels[0] = static_cast<std::uint8_t>(set.pixels[0] - 1);
    CHECK_FALSE(recognise(set).has_value());
  }
}

TEST_CASE("a set of synthetic images says so, also after it was written and read") {
  const ScratchFolder folder;
  const auto made = make_synthetic(5, 40, 20);
  const std::string path = folder / "images";
  write_dataset(*made, path);
  std::ifstream marker(path + "/SYNTHETIC.txt");
  const std::string text(std::istreambuf_iterator<char>(marker), {});
  CHECK(contains(text, "synthetic"));
  CHECK(contains(text, made->origin));
  CHECK(contains(made->origin, "version 1, seed 5"));

  const auto read = load_folder(path);
  CHECK(read->synthetic);
  CHECK(read->name == "synthetic");
  CHECK(contains(read->origin, "images"));
  CHECK(contains(read->origin, made->origin));
  CHECK(read->train.pixels == made->train.pixels);
  CHECK(read->train.labels == made->train.labels);
  CHECK(read->test.pixels == made->test.pixels);
  CHECK(read->test.labels == made->test.labels);
  CHECK(read->normalisation.mean == made->normalisation.mean);
  CHECK(read->normalisation.deviation == made->normalisation.deviation);
  CHECK(
      contains(refusal([&] { write_dataset(*made, path); }, ExitCode::output_failed), "there already"));
}

TEST_CASE("images are never written over or beside others") {
  const ScratchFolder folder;
  write_bytes(folder / "t10k-labels.idx1-ubyte.gz", {1, 2, 3});
  const auto made = make_synthetic(5, 2, 2);
  CHECK(contains(refusal([&] { write_dataset(*made, folder.path.string()); }, ExitCode::output_failed),
                 "t10k-labels.idx1-ubyte.gz"));
  CHECK(fs::is_empty(folder.path) == false);
  CHECK_FALSE(fs::exists(folder.path / "SYNTHETIC.txt"));
}

TEST_CASE("what is missing from a folder is named with all that was tried") {
  const ScratchFolder folder;
  CHECK(contains(refusal([&] { load_folder(folder / "none"); }), "no such folder"));
  const SmallSet small;
  for (std::size_t missing = 0; missing < 4; ++missing) {
    small.write(folder);
    fs::remove(folder / four_files[missing]);
    const std::string text = refusal([&] { load_folder(folder.path.string()); });
    std::string dotted = four_files[missing];
    dotted[dotted.rfind("-idx")] = '.';
    for (const std::string& name :
         {four_files[missing], dotted, four_files[missing] + ".gz", dotted + ".gz"})
      CHECK(contains(text, name));
    CHECK(contains(text, folder.path.string()));
  }
}

TEST_CASE("labels out of range are named with image and value; classes can be more or fewer") {
  const ScratchFolder folder;
  const SmallSet small;
  small.write(folder);
  Bytes labels = small.files[1];
  labels[8 + 5] = 37;
  write_bytes(folder / four_files[1], labels);
  const std::string text = refusal([&] { load_folder(folder.path.string()); });
  CHECK(contains(text, "label 37 of image 5 is not in 0 … 9"));
  CHECK(contains(text, four_files[1]));
  CHECK(load_folder(folder.path.string(), 38)->classes == 38);
  CHECK(refusal([&] { load_folder(folder.path.string(), 37); }) != "");
  CHECK(contains(refusal([&] { load_folder(folder.path.string(), 257); }), "257 classes"));
}

TEST_CASE("one copy of a set per process, as long as somebody holds it") {
  const ScratchFolder folder;
  SmallSet().write(folder);
  const std::string path = folder.path.string();
  auto first = open_dataset(path, 0, 1);
  CHECK(open_dataset(path + "/", 99, 1) == first);
  std::array<std::shared_ptr<const Dataset>, 4> sets;
  {
    std::vector<std::jthread> threads;
    for (auto& set : sets) threads.emplace_back([&] { set = open_dataset("synthetic", 12, 1); });
  }
  CHECK(sets[0]->train.count == 60'000);
  CHECK(sets[0]->test.count == 10'000);
  for (const auto& set : sets) CHECK(set == sets[0]);
  const std::weak_ptr<const Dataset> watched = first;
  first.reset();
  CHECK(watched.expired());
  CHECK(contains(refusal([&] { open_dataset(folder / "none", 0, 1); }), "no such folder"));
}
