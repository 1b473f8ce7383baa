// SPDX-License-Identifier: BSD-3-Clause
// Plans and workloads as people read them.
#include <algorithm>

#include "dlscale_catch.hpp"
#include "fake_entries.hpp"

using namespace dlscale;

namespace {

// Line breaks and indents as single blanks, so that tests don't depend on where lines break.
std::string unwrapped(const std::string& text) {
  std::string result;
  for (const char c : text)
    if (const bool blank = c == ' ' || c == '\n'; !blank || (!result.empty() && result.back() != ' '))
      result += blank ? ' ' : c;
  return result;
}

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0, count = 0;
  for (const char c : text) {
    if (c == '\n')
      count = 0;
    else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80)
      longest = std::max(longest, ++count);
  }
  return longest;
}

}  // namespace

TEST_CASE("the plan's table fits a terminal and says what it rests on") {
  const Layout layout = small_layout();
  const auto plan = plan_of(
      "[[case]]\nworkload = \"gemm\"\nm = [2048, 2147483647]\nnote = \"a note that is rather long, "
      "and_a_word_that_is_longer_than_any_column_of_the_table_could_ever_be\"\n"
      "occupancy = [\"alone\", \"together\"]\n[[case]]\nworkload = \"gpu_only\"\n",
      layout);
  const std::string text = render_plan(plan, layout);
  INFO(text);
  CHECK(longest_line(text) <= 80);
  for (const char* part :
       {"4 ranks on 2 nodes, 2 cores per rank, 8 GiB per node, device cpu", "This layout is assumed",
        "16 GFLOP/s (f64)", "32 GFLOP/s", "10 GB/s per node", "4.29 G", "40 MiB", "skipped",
        "GiB available", "no variant for device 'cpu'", "Time budget: 60 s"})
    CHECK(unwrapped(text).find(part) != std::string::npos);
}

TEST_CASE("--list shows every workload with its keys, and the keys of every case") {
  const std::vector<Entry> entries = fake_entries();
  const std::string text = render_workloads(entries);
  INFO(text);
  CHECK(longest_line(text) <= 80);
  for (const Entry& entry : entries) {
    CHECK(text.find("\n" + entry.name + ": " + entry.description + " (" + entry.variant + ")") !=
          std::string::npos);
    for (const Key& key : entry.keys) CHECK(text.find("\n  " + key.name + " ") != std::string::npos);
  }
  for (const char* part :
       {"f64, f32", "integer from 1 to 2147483647", "rows", "occupancy", "label", "series", "role",
        "blocks", "interval", "warmup", "min_time", "max_time", "zip", "list", "min_rate"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("--list shows where another device takes other keys, or other values") {
  const std::vector<Entry> fakes = fake_entries();
  const Entry host =
      *std::find_if(fakes.begin(), fakes.end(), [](const Entry& e) { return e.name == "gemm"; });
  Entry gpu = host;
  gpu.variant = "cuda";
  REQUIRE(gpu.keys.size() > 2);
  const std::string same = gpu.keys[1].name, gone = gpu.keys[0].name;
  gpu.keys.erase(gpu.keys.begin());
  gpu.keys.push_back({"colour", std::string("blue"), "of the box", {}, {}, {"blue", "red"}});
  const auto dtype =
      std::find_if(gpu.keys.begin(), gpu.keys.end(), [](const Key& k) { return k.name == "dtype"; });
  REQUIRE(dtype != gpu.keys.end());
  dtype->choices.push_back("fp8");
  const std::string text = render_workloads(std::vector<Entry>{host, gpu});
  INFO(text);
  CHECK(longest_line(text) <= 80);
  const std::size_t at = text.find("  with --device cuda:\n");
  REQUIRE(at != std::string::npos);
  const std::string own = text.substr(at, text.find("Keys of every case") - at);
  CHECK(own.find("fp8") != std::string::npos);
  CHECK(own.find("\n  colour ") != std::string::npos);
  CHECK(own.find("\n  " + same + " ") == std::string::npos);
  CHECK(unwrapped(own).find(gone + " (not with --device cuda)") != std::string::npos);
  gpu = host;
  gpu.variant = "cuda";
  CHECK(render_workloads(std::vector<Entry>{host, gpu}).find("--device cuda") == std::string::npos);
}
