// SPDX-License-Identifier: BSD-3-Clause
// The pure half of conv2d, and DeepBench's lists.
#include <fstream>

#include "base/text.hpp"
#include "conv2d_params.hpp"
#include "dlscale_catch.hpp"

using namespace dlscale;

TEST_CASE("cost counts every tap and every operand once, in every pass") {
  for (const char* pass : conv2d_passes) {
    const Cost cost = conv2d_cost(params_of({{"pass", std::string(pass)}}), 0);
    CHECK(cost.flops == 2.0 * 16 * 64 * 56 * 56 * 64 * 9);
    CHECK(cost.bytes_touched == 4.0 * (2 * 16 * 64 * 56 * 56 + 64 * 64 * 9));
    CHECK(cost.memory_bytes + cost.check_bytes >= 2 * cost.bytes_touched);
    const Cost half =
        conv2d_cost(params_of({{"pass", std::string(pass)}, {"dtype", std::string("bf16")}}), 0);
    CHECK(half.flops == cost.flops);
    CHECK(half.bytes_touched == cost.bytes_touched / 2);
  }
  const Cost depthwise = conv2d_cost(params_of({{"groups", std::int64_t{64}}}), 0);
  CHECK(depthwise.flops == 2.0 * 16 * 64 * 56 * 56 * 9);
  CHECK(conv2d_roofs(params_of({})).size() == 2);
  CHECK(conv2d_roofs(params_of({{"dtype", std::string("bf16")}})).front().params.text("dtype") ==
        "bf16");
}

TEST_CASE("what makes no sense is refused by a sentence that names the key") {
  const auto says = [](const Overrides& overrides, const char* key) {
    const std::string sentence = conv2d_validate(params_of(overrides));
    INFO("'" << sentence << "'");
    return sentence.find(key) == 0;
  };
  CHECK(conv2d_validate(params_of({})).empty());
  CHECK(says({{"groups", std::int64_t{5}}}, "groups=5 does not divide channels=64"));
  CHECK(says({{"groups", std::int64_t{4}}, {"filters", std::int64_t{6}}},
             "groups=4 does not divide filters=6"));
  CHECK(says({{"kernel_h", std::int64_t{59}}}, "kernel_h=59"));
  CHECK(says({{"kernel_w", std::int64_t{59}}, {"pad_left", std::int64_t{1}}}, "kernel_w=59"));
  CHECK(says({{"stride_h", std::int64_t{59}}}, "stride_h=59 is larger than the padded input"));
  CHECK(says({{"stride_w", std::int64_t{2147483647}}, {"pad_left", std::int64_t{7}}},
             "stride_w=2147483647"));
  CHECK(conv2d_validate(params_of({{"stride_h", std::int64_t{58}}, {"stride_w", std::int64_t{58}}}))
            .empty());
  CHECK(says({{"batch", std::int64_t{2147483647}}, {"height", std::int64_t{2147483647}}},
             "the case is too large"));
  for (const Params& example : conv2d_examples()) CHECK(conv2d_validate(example).empty());
}

TEST_CASE("DeepBench's lists have their published work") {
  struct List {
    const char* name;
    int rows;
    double flops;
  };
  for (const List& list : {List{"training", 94, 562'504'360'960},
                           {"training-data", 84, 542'605'246'464},
                           {"inference-server", 107, 86'883'119'872},
                           {"inference-device", 16, 1'823'997'952}}) {
    INFO(list.name);
    std::ifstream file(std::string(DLSCALE_SOURCE_DIR) + "/jobs/lists/" + "deepbench-conv-" + list.name +
                       ".csv");
    std::vector<std::string> columns;
    std::string line;
    int rows = 0;
    double flops = 0;
    while (std::getline(file, line)) {
      if (line.empty() || line.front() == '#') continue;
      const std::vector<std::string> cells = split(line, ',');
      if (columns.empty()) {
        columns = cells;
        continue;
      }
      REQUIRE(cells.size() == columns.size());
      Overrides row;
      for (std::size_t i = 0; i + 1 < cells.size(); ++i)
        row.emplace_back(columns[i].c_str(), std::int64_t{std::stoll(cells[i])});
      CHECK(columns.back() == "label");
      const Params params = params_of(row);
      CHECK(params.items().size() == conv2d_keys().size());  // every column is a key
      CHECK(conv2d_validate(params).empty());
      CHECK(params.integer("pad_left") == params.integer("pad_right"));
      flops += conv2d_cost(params, 0).flops;
      ++rows;
    }
    CHECK(rows == list.rows);
    CHECK(flops == list.flops);
  }
}
