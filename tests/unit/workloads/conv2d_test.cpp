// SPDX-License-Identifier: BSD-3-Clause
// conv2d: wrong must fail at a real size in every pass and type, and right must pass.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "conv2d_params.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "workloads/conv2d/conv2d_cpu.hpp"

using namespace dlscale;

namespace {

WorkContext context_of(const Params& params, std::uint64_t seed = 42) {
  WorkContext context;
  context.params = params;
  context.threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U));
  context.seed = seed;
  return context;
}

/// The definition, tap by tap in float64: y += w·x, or either gradient. Knows nothing of the check.
std::vector<double> by_definition(const Conv2dCase& c, const std::vector<float>& x,
                                  const std::vector<float>& w, const std::vector<float>& y) {
  const nn::ConvProblem& p = c.problem;
  const nn::Window& win = p.window;
  const nn::Shape out = c.out();
  const std::int64_t in_group = p.in.channels / p.groups, out_group = p.filters / p.groups;
  std::vector<double> result(static_cast<std::size_t>(c.count(c.result())), 0.0);
  const auto at = [](const auto& values, std::int64_t i) -> auto& {
    return values[static_cast<std::size_t>(i)];
  };
  for (std::int64_t i = 0; i < c.count(Conv2dOperand::y); ++i) {
    const std::int64_t q = i % out.width, row = i / out.width % out.height;
    const std::int64_t k = i / (out.width * out.height) % p.filters, n = i / out.count();
    for (std::int64_t j = 0; j < in_group * win.kernel_h * win.kernel_w; ++j) {
      const std::int64_t s = j % win.kernel_w, r = j / win.kernel_w % win.kernel_h;
      const std::int64_t in_channel = k / out_group * in_group + j / (win.kernel_w * win.kernel_h);
      const std::int64_t h = row * win.stride_h + r - win.pad_top,
                         v = q * win.stride_w + s - win.pad_left;
      if (h < 0 || h >= p.in.height || v < 0 || v >= p.in.width) continue;
      const std::int64_t xi = ((n * p.in.channels + in_channel) * p.in.height + h) * p.in.width + v;
      const std::int64_t wi = k * in_group * win.kernel_h * win.kernel_w + j;
      const auto product = [](float a, float b) { return static_cast<double>(a) * b; };
      if (c.pass == nn::ConvPass::forward)
        result[static_cast<std::size_t>(i)] += product(at(x, xi), at(w, wi));
      else if (c.pass == nn::ConvPass::backward_data)
        result[static_cast<std::size_t>(xi)] += product(at(w, wi), at(y, i));
      else
        result[static_cast<std::size_t>(wi)] += product(at(x, xi), at(y, i));
    }
  }
  return result;
}

std::vector<float> drawn(const Conv2dCase& c, Conv2dOperand operand, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(c.count(operand)));
  fill_uniform(std::span(values), seed, static_cast<std::uint64_t>(operand));
  return values;
}

/// The first from `from` on that is about as large as they are.
std::size_t typical(const std::vector<float>& values, std::size_t from) {
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * v;
  const double rms = std::sqrt(squares / static_cast<double>(values.size()));
  for (std::size_t i = from; i < values.size(); ++i)
    if (std::fabs(values[i]) >= rms) return i;
  return 0;
}

/// `dims`: of the result, outermost first.
void plant_and_check(const Params& params, const std::vector<std::size_t>& dims) {
  const std::size_t width = dims[3], plane = dims[2] * dims[3], image = dims[1] * plane;
  Conv2dCpu conv(context_of(params));
  conv.prepare();
  CHECK_FALSE(conv.verify().passed());  // nothing has run yet: all is NaN
  conv.reset();
  conv.run();
  const Check clean = conv.verify();
  CAPTURE(params.text("pass"), params.text("dtype"), conv.results(), clean.error);
  REQUIRE(clean.passed());
  CHECK(clean.error > 0);  // a check that sees no rounding at all looks at the wrong numbers

  const std::vector<float> good = conv.result();
  REQUIRE(good.size() == dims[0] * image);
  const auto planted = [&](const char* what, const std::function<void(std::vector<float>&)>& damage) {
    std::vector<float> bad = good;
    damage(bad);
    conv.set_result(bad);
    const Check check = conv.verify();
    INFO(what << ": error / tolerance " << check.error);
    CHECK_FALSE(check.passed());
  };
  using Values = std::vector<float>;
  for (const std::size_t from : {std::size_t{0}, good.size() / 2, good.size() - 4 * plane})
    planted("one wrong element", [&](Values& y) { y[typical(y, from)] *= -1; });
  planted("unwritten tile", [&](Values& y) {
    for (std::size_t c = 16; c < 32; ++c)
      for (std::size_t i = 0; i < width; ++i) y[image + c * plane + i] = 0;
  });
  planted("swapped rows", [&](Values& y) {
    const auto row = y.begin() + static_cast<std::ptrdiff_t>(image + 3 * plane);
    std::swap_ranges(row, row + static_cast<std::ptrdiff_t>(width),
                     row + static_cast<std::ptrdiff_t>(width));
  });
  planted("swapped channels", [&](Values& y) {
    const auto channel = y.begin() + static_cast<std::ptrdiff_t>(5 * plane);
    std::swap_ranges(channel, channel + static_cast<std::ptrdiff_t>(plane),
                     channel + static_cast<std::ptrdiff_t>(2 * plane));
  });
  planted("NaN", [&](Values& y) { y[image + 7] = std::numeric_limits<float>::quiet_NaN(); });
  planted("infinity", [&](Values& y) { y.back() = std::numeric_limits<float>::infinity(); });
  planted("all zero", [&](Values& y) { std::fill(y.begin(), y.end(), 0.0F); });
  conv.set_result(good);
  CHECK(conv.verify().passed());  // and the undamaged one still passes
}

}  // namespace

TEST_CASE("planted errors are caught at a real size in every pass, type and algorithm") {
  // ResNet's 3×3, 56×56, 64 → 64 and, for images that are not square, a strided one.
  int skipped = 0;
  for (const char* pass : conv2d_passes)
    for (const auto& [dtype, algorithm] :
         {std::pair("f32", "direct"), {"f32", "winograd"}, {"bf16", "direct"}}) {
      const Params p = params_of({{"batch", std::int64_t{4}},
                                  {"pass", std::string(pass)},
                                  {"dtype", std::string(dtype)},
                                  {"algorithm", std::string(algorithm)}});
      if (const std::string why = conv2d_unavailable(p); !why.empty()) {
        ++skipped;
        continue;
      }
      const std::size_t side = std::string(pass) == "backward_weights" ? 3 : 56;
      plant_and_check(p, {side == 3 ? 64UL : 4UL, 64, side, side});
    }
  WARN(skipped << " of 9 passes, types and algorithms are not available here");
  CHECK(skipped <= 6);
  const Overrides strided = {
      {"batch", std::int64_t{4}},     {"channels", std::int64_t{32}},  {"height", std::int64_t{79}},
      {"width", std::int64_t{101}},   {"filters", std::int64_t{96}},   {"kernel_h", std::int64_t{5}},
      {"kernel_w", std::int64_t{10}}, {"stride_h", std::int64_t{2}},   {"stride_w", std::int64_t{2}},
      {"pad_top", std::int64_t{0}},   {"pad_bottom", std::int64_t{1}}, {"pad_left", std::int64_t{2}},
      {"pad_right", std::int64_t{1}}};
  const std::vector<std::vector<std::size_t>> dims = {
      {4, 96, 38, 48}, {4, 32, 79, 101}, {96, 32, 5, 10}};
  for (std::size_t i = 0; i < 3; ++i) {
    Overrides of_pass = strided;
    of_pass.emplace_back("pass", std::string(conv2d_passes[i]));
    plant_and_check(params_of(of_pass), dims[i]);
  }
}

TEST_CASE("the library computes the definition, also with groups, uneven strides and padding") {
  for (const Params& params : conv2d_examples()) {
    if (!conv2d_unavailable(params).empty()) continue;
    const Conv2dCase c = conv2d_case(params);
    if (c.precision != nn::Precision::f32) continue;
    Conv2dCpu conv(context_of(params, 5));
    conv.prepare();
    conv.run();
    const std::vector<float> got = conv.result();
    const std::vector<double> expected = by_definition(
        c, drawn(c, Conv2dOperand::x, 5), drawn(c, Conv2dOperand::w, 5), drawn(c, Conv2dOperand::y, 5));
    REQUIRE(got.size() == expected.size());
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - expected[i]));
      largest = std::max(largest, std::fabs(expected[i]));
    }
    CAPTURE(conv.results(), worst, largest);
    // 168 u. Some 400 products at most, whose partial sums are about as large as the largest result:
    // with random signs they round by √400 u of it together, up to six times more by Winograd's
    // algorithm.
    CHECK(worst <= 1e-5 * (1 + largest));
  }
}

TEST_CASE("clean convolutions are not flagged") {
  // DLSCALE_CLEAN_RUNS asks for more; every run has other data.
  const char* text = std::getenv("DLSCALE_CLEAN_RUNS");
  const int runs = text == nullptr ? 4 : std::atoi(text);
  std::map<std::string, double> largest;
  int count = 0;
  for (int run = 0; run < runs; ++run)
    for (const Params& params : conv2d_examples()) {
      if (!conv2d_unavailable(params).empty()) continue;
      const auto conv =
          find_entry("conv2d", "cpu")->make(context_of(params, static_cast<std::uint64_t>(run)));
      conv->prepare();
      conv->run();
      const Check check = conv->verify();
      CAPTURE(run, conv->results(), check.error);
      for (const auto& [key, value] : params.items()) UNSCOPED_INFO(key << "=" << to_text(value));
      CHECK(check.passed());
      double& most = largest[params.text("dtype") + " " + params.text("algorithm")];
      most = std::max(most, check.error);
      ++count;
    }
  for (const auto& [what, error] : largest)
    WARN("largest error / tolerance of " << what << " in " << count << " clean runs: " << error);
}

TEST_CASE("what is chosen is said, and other candidates are tried") {
  Conv2dCpu conv(context_of(params_of({{"batch", std::int64_t{2}}})));
  conv.prepare();
  const nlohmann::json facts = nlohmann::json::parse(conv.results());
  CHECK(facts.at("library").get<std::string>().find("oneDNN") == 0);
  CHECK(!facts.at("implementation").get<std::string>().empty());
  const auto tried = facts.at("tried_seconds").get<std::map<std::string, double>>();
  CHECK(tried.count("direct") == 1);
  for (const auto& [algorithm, seconds] : tried)
    CHECK(seconds >= tried.at(facts.at("algorithm").get<std::string>()));
  const bool has_winograd =
      conv2d_unavailable(params_of({{"algorithm", std::string("winograd")}})).empty();
  CHECK(tried.count("winograd") == (has_winograd ? 1U : 0U));
  // Winograd's algorithm is for small kernels with stride 1.
  const std::string why = conv2d_unavailable(
      params_of({{"algorithm", std::string("winograd")}, {"stride_h", std::int64_t{2}}}));
  CHECK(why.find("has no winograd f32 implementation") != std::string::npos);
}
