// SPDX-License-Identifier: BSD-3-Clause
// The pure halves of conv2d, train and infer on a GPU: what a plan asks of them where there is none.
#include <cmath>

#include "dlscale_catch.hpp"
#include "workloads/conv2d/conv2d_gpu.hpp"
#include "workloads/network_gpu.hpp"

using namespace dlscale;

TEST_CASE("networks on a GPU have examples that make sense and cost something") {
  for (const char* name : {"conv2d", "train", "infer"}) {
    const Entry* entry = find_entry(name, "cuda");
    REQUIRE(entry != nullptr);
    const std::vector<Params> examples = entry->examples();
    CHECK(examples.size() >= 5);
    for (const Params& params : examples) {
      INFO(name);
      for (const Key& key : entry->keys) CHECK(params.has(key.name));
      CHECK(entry->validate(params).empty());
      const Cost cost = entry->cost(params, 1, 1);
      for (const double value : {cost.flops, cost.bytes_touched, cost.memory_bytes, cost.check_bytes}) {
        CHECK(std::isfinite(value));
        CHECK(value > 0);
      }
      // Every roof is a case of a roof workload that a GPU has, with keys that it has.
      for (const Roof& roof : entry->roofs(params)) {
        const Entry* other = find_entry(roof.workload, "cuda");
        REQUIRE(other != nullptr);
        CHECK(other->is_roof);
      }
    }
  }
}

TEST_CASE("bf16 and tf32 are not compared with the multiply-add roof of a GPU") {
  Params params;
  params.set("dtype", std::string("bf16"));
  CHECK(gpu_network_roofs(params).size() == 1);
  CHECK(gpu_network_device(params).u_conv_gradient == 0x1p-8);
  params.set("dtype", std::string("f32"));
  CHECK(gpu_network_roofs(params).size() == 2);
  CHECK(gpu_network_device(params).u_acc == 0x1p-24);
}

TEST_CASE("a convolution on a GPU is padded by hand where opposite sides differ") {
  nn::ConvProblem problem{
      .batch = 2, .in = {3, 10, 12}, .filters = 4, .groups = 1, .window = {3, 3, 2, 2, 0, 1, 2, 2}};
  const Conv2dPadded apart = conv2d_padded(problem);
  CHECK(apart.in == nn::Shape{3, 11, 16});
  CHECK(apart.window.pad_left == 0);
  CHECK(apart.window.out_height(apart.in.height) == problem.window.out_height(10));
  CHECK(apart.window.out_width(apart.in.width) == problem.window.out_width(12));
  problem.window.pad_top = 1;
  CHECK(conv2d_padded(problem).in == problem.in);
  CHECK(conv2d_padded(problem).window.pad_top == 1);
}

TEST_CASE("winograd on a GPU is for f32") {
  const Entry* entry = find_entry("conv2d", "cuda");
  REQUIRE(entry != nullptr);
  Params params = entry->examples().front();
  params.set("algorithm", std::string("winograd"));
  CHECK(entry->validate(params).empty());
  params.set("dtype", std::string("tf32"));
  CHECK(entry->validate(params).find("algorithm = winograd") == 0);
}
