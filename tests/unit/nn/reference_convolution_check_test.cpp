// SPDX-License-Identifier: BSD-3-Clause
// Convolutions at real sizes: what is right passes, what is wrong fails, in float32 and bf16.
#include <algorithm>
#include <functional>
#include <limits>

#include "dlscale_catch.hpp"
#include "reference_tools.hpp"

using namespace dlscale;
using namespace dlscale::nn;
using namespace dlscale::nn::tools;

namespace {

struct Case {
  const char* name;
  ConvProblem problem;
};

ConvProblem square(std::int64_t batch, std::int64_t channels, std::int64_t size, std::int64_t filters,
                   std::int64_t kernel = 3) {
  return {batch, {channels, size, size}, filters, 1, Window::square(kernel, 1, kernel / 2)};
}

/// One pass of one problem: its arrays, the checked one being `result`.
struct CheckedPass {
  CheckedPass(const ConvProblem& problem_, ConvPass pass_, bool bf16_, bool positive = false)
      : problem(problem_), pass(pass_), bf16(bf16_) {
    const Window& k = problem.window;
    x = random_floats(problem.batch * problem.in.count(), 1, bf16);
    if (positive)
      for (float& v : x) v = std::max(v, 0.0F);
    w = random_floats(problem.filters * (problem.in.channels / problem.groups) * k.kernel_h * k.kernel_w,
                      2, bf16);
    y = random_floats(problem.batch * output_of(problem).count(), 3, bf16);
    compute();
  }
  Floats& result() {
    if (pass == ConvPass::forward) return y;
    return pass == ConvPass::backward_data ? x : w;
  }
  void compute() {
    if (pass == ConvPass::forward) y = float_forward(problem, x, w);
    if (pass == ConvPass::backward_data) x = float_data(problem, y, w);
    if (pass == ConvPass::backward_weights) w = float_weights(problem, x, y);
    if (bf16) round_to_bf16(result());
  }
  double ratio(double winograd = 1, std::uint64_t seed = 5) {
    LayerTolerance u;
    if (bf16) u.u_out = u.u_gradient = 0x1p-8;
    u.winograd = winograd;
    return check_convolution(problem, pass, x, w, y, u, seed);
  }

  ConvProblem problem;
  ConvPass pass;
  bool bf16;
  Floats x, w, y;
};

/// What the pass would give if a block of its sums (channels, for the weights an image) were left out.
Floats skipped(const CheckedPass& good) {
  CheckedPass part = good;
  const ConvProblem& p = good.problem;
  const std::int64_t tap = p.window.kernel_h * p.window.kernel_w, in_group = p.in.channels / p.groups;
  if (good.pass == ConvPass::backward_weights) {
    std::fill_n(part.y.begin() + output_of(p).count(), output_of(p).count(), 0.0F);  // the second image
  } else if (good.pass == ConvPass::forward) {
    const std::int64_t block = std::max<std::int64_t>(1, std::min<std::int64_t>(8, in_group / 4));
    for (std::int64_t o = 0; o < p.filters; ++o)
      std::fill_n(part.w.begin() + o * in_group * tap, block * tap, 0.0F);
  } else {
    std::fill_n(part.w.begin(), std::min<std::int64_t>(8, p.filters / 4) * in_group * tap, 0.0F);
  }
  part.compute();
  return part.result();
}

void plant_and_check(const Case& c, ConvPass which, bool bf16) {
  CheckedPass pass(c.problem, which, bf16);
  const double clean = pass.ratio();
  INFO(c.name << " pass " << static_cast<int>(which) << (bf16 ? " bf16" : " f32") << ": clean "
              << clean);
  REQUIRE(clean <= 1);
  CHECK(clean > 0.002);  // else the tolerance is meaningless
  const Floats good = pass.result();
  const double one_sigma = sigma(good);
  const auto planted = [&](const char* what, const std::function<void(Floats&)>& damage) {
    damage(pass.result());
    const double ratio = pass.ratio();
    INFO(what << ": " << ratio);
    CHECK_FALSE(ratio <= 1);
    pass.result() = good;
  };
  const Shape shape = which == ConvPass::forward ? output_of(c.problem) : c.problem.in;
  const bool weights = which == ConvPass::backward_weights;
  const std::int64_t inner =
      weights ? static_cast<std::int64_t>(good.size()) / c.problem.filters : shape.height * shape.width;
  const std::int64_t row = weights ? c.problem.window.kernel_w : shape.width;
  for (const std::size_t i : {good.size() / 2 + 1, good.size() - 1})
    planted("one element off by a standard deviation",
            [&](Floats& v) { v[i] += static_cast<float>(one_sigma); });
  planted("unwritten row", [&](Floats& v) { std::fill_n(v.begin() + 2 * inner + row, row, 0.0F); });
  planted("unwritten channel", [&](Floats& v) { std::fill_n(v.begin() + 3 * inner, inner, 0.0F); });
  planted("swapped rows", [&](Floats& v) {
    std::swap_ranges(v.begin() + inner, v.begin() + inner + row, v.begin() + inner + 2 * row);
  });
  for (const std::int64_t a : {0, 8, 9})
    planted("swapped channels", [&](Floats& v) {
      std::swap_ranges(v.begin() + a * inner, v.begin() + (a + 1) * inner, v.begin() + (a + 12) * inner);
    });
  planted("skipped block", [&](Floats& v) { v = skipped(pass); });
  planted("NaN", [&](Floats& v) { v[v.size() / 3] = std::numeric_limits<float>::quiet_NaN(); });
  planted("infinity", [&](Floats& v) { v[v.size() / 3] = std::numeric_limits<float>::infinity(); });
  planted("all zero", [&](Floats& v) { std::fill(v.begin(), v.end(), 0.0F); });
  CHECK(pass.ratio() <= 1);
}

constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weights};

}  // namespace

TEST_CASE("convolutions of the Top Flight network at batch 64: wrong results fail") {
  for (const ConvPass pass : passes) {
    plant_and_check({"conv2", square(64, 32, 14, 64)}, pass, false);
    plant_and_check({"conv3", square(64, 64, 7, 128)}, pass, true);
  }
  plant_and_check({"conv1", square(64, 1, 28, 32)}, ConvPass::forward, false);
  plant_and_check({"conv1", square(64, 1, 28, 32)}, ConvPass::backward_weights, true);
}

TEST_CASE("a convolution of ResNet at 56 x 56: wrong results fail") {
  plant_and_check({"56x56", square(8, 64, 56, 64)}, ConvPass::forward, true);
  plant_and_check({"56x56 1x1", square(8, 64, 56, 64, 1)}, ConvPass::backward_data, false);
  plant_and_check({"56x56 1x1", square(8, 64, 56, 64, 1)}, ConvPass::backward_weights, true);
}

TEST_CASE("many filters: one wrong element stands out in bf16") {
  plant_and_check({"wide", square(4, 1024, 4, 1024, 1)}, ConvPass::forward, true);
  plant_and_check({"wide", square(4, 1024, 4, 1024, 1)}, ConvPass::backward_data, true);
}

TEST_CASE("clean convolutions pass at awkward shapes, with any seed") {
  const std::vector<Case> cases = {
      {"asymmetric stride 2", {3, {5, 9, 11}, 7, 1, {3, 5, 2, 3, 0, 1, 2, 1}}},
      {"groups", {2, {6, 8, 7}, 9, 3, {3, 2, 1, 1, 1, 1, 0, 1}}},
      {"depthwise", {2, {6, 8, 7}, 6, 6, Window::square(3, 1, 1)}},
      {"depthwise stride 2", {2, {4, 9, 9}, 8, 4, Window::same({4, 9, 9}, 3, 2)}},
      {"one pixel, mostly padding", {4, {16, 1, 1}, 24, 1, Window::square(3, 1, 1)}},
      {"kernel smaller than stride", {2, {3, 10, 10}, 4, 1, {2, 1, 3, 4, 0, 0, 0, 0}}},
      {"first layer", {2, {3, 40, 37}, 16, 1, Window::square(7, 2, 3)}},
      {"rows dropped at the end", {1, {2, 8, 8}, 3, 1, Window::square(3, 2, 0)}},
      {"wide", {2, {300, 3, 3}, 290, 1, Window::square(1)}},
      {"many blocks", {40, {2, 30, 30}, 3, 1, Window::square(3, 1, 1)}},
  };
  for (const Case& c : cases)
    for (const ConvPass which : passes)
      for (const bool bf16 : {false, true}) {
        CheckedPass pass(c.problem, which, bf16, true);
        for (std::uint64_t seed = 0; seed < 2; ++seed) {
          INFO(c.name << " pass " << static_cast<int>(which) << " bf16 " << bf16 << " seed " << seed);
          CHECK(pass.ratio(1, seed) <= 1);
          CHECK(pass.ratio(10, seed) <= 0.2);  // ten times the tolerance
        }
        Floats& result = pass.result();
        const auto off = static_cast<float>(sigma(result));
        for (std::size_t i = 0; i < result.size(); i += 1 + result.size() / 7) {
          const float good = result[i];
          result[i] += off;
          INFO(c.name << " pass " << static_cast<int>(which) << " bf16 " << bf16 << " element " << i);
          CHECK_FALSE(pass.ratio() <= 1);
          result[i] = good;
        }
      }
}

TEST_CASE("blank parts of an image have no tolerance to hide in, and no false alarm") {
  CheckedPass pass(square(4, 8, 20, 16), ConvPass::forward, false);
  for (std::int64_t plane = 0; plane < 32; ++plane)
    std::fill_n(pass.x.begin() + plane * 400, 200, 0.0F);  // upper half
  pass.compute();
  CHECK(pass.ratio() <= 1);
  pass.y[3] = 1e-6F;
  CHECK_FALSE(pass.ratio() <= 1);
  CHECK(pass.ratio(20) <= 1);  // Winograd mixes rows
}
