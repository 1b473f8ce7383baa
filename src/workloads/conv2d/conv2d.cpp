// SPDX-License-Identifier: BSD-3-Clause
// The pure half of conv2d: keys, examples, validation, cost.
#include "workloads/conv2d/conv2d.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace dlscale {
namespace {

double element_bytes(const Conv2dCase& c) {
  return c.precision == nn::Precision::bf16 ? 2 : 4;
}

constexpr std::array<const char*, 14> number_keys = {
    "batch",    "channels", "height",  "width",      "filters",  "kernel_h",  "kernel_w",
    "stride_h", "stride_w", "pad_top", "pad_bottom", "pad_left", "pad_right", "groups"};

using Numbers = std::array<std::int64_t, number_keys.size()>;

constexpr std::array<Numbers, 11> example_numbers = {{
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1},      // the smallest
    {2, 16, 14, 14, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1},  // the usual
    {3, 5, 13, 11, 7, 3, 3, 1, 1, 1, 1, 1, 1, 1},    // odd everywhere
    {2, 3, 17, 19, 8, 7, 7, 2, 2, 3, 3, 3, 3, 1},    // a first layer
    {2, 20, 9, 15, 24, 1, 1, 1, 1, 0, 0, 0, 0, 1},   // 1×1
    {1, 32, 10, 10, 16, 1, 1, 2, 2, 0, 0, 0, 0, 1},  // 1×1, stride 2: pixels that nobody reads
    {2, 8, 12, 12, 8, 3, 3, 2, 2, 0, 1, 0, 1, 1},    // "same" with stride 2
    {1, 4, 9, 30, 6, 5, 20, 2, 2, 0, 2, 3, 0, 1},    // wide kernel, pads all different
    {2, 12, 8, 7, 18, 3, 3, 1, 1, 1, 1, 1, 1, 3},    // groups
    {2, 24, 11, 9, 24, 3, 3, 1, 1, 1, 1, 1, 1, 24},  // depthwise
    {1, 6, 7, 7, 10, 3, 2, 3, 1, 2, 0, 1, 1, 1},     // uneven kernel and strides
}};

Params example(const Numbers& numbers, const char* dtype, const char* pass, const char* algorithm) {
  Params p;
  for (std::size_t i = 0; i < numbers.size(); ++i) p.set(number_keys[i], numbers[i]);
  p.set("dtype", std::string(dtype));
  p.set("pass", std::string(pass));
  p.set("algorithm", std::string(algorithm));
  return p;
}

}  // namespace

nn::Shape Conv2dCase::out() const {
  return {problem.filters, problem.window.out_height(problem.in.height),
          problem.window.out_width(problem.in.width)};
}

Conv2dOperand Conv2dCase::result() const {
  if (pass == nn::ConvPass::forward) return Conv2dOperand::y;
  return pass == nn::ConvPass::backward_data ? Conv2dOperand::x : Conv2dOperand::w;
}

std::int64_t Conv2dCase::count(Conv2dOperand operand) const {
  if (operand == Conv2dOperand::x) return problem.batch * problem.in.count();
  if (operand == Conv2dOperand::y) return problem.batch * out().count();
  return problem.filters * (problem.in.channels / problem.groups) * problem.window.kernel_h *
         problem.window.kernel_w;
}

Conv2dCase conv2d_case(const Params& p) {
  const std::string &pass = p.text("pass"), &dtype = p.text("dtype");
  Conv2dCase c;
  c.problem.batch = p.integer("batch");
  c.problem.in = {p.integer("channels"), p.integer("height"), p.integer("width")};
  c.problem.filters = p.integer("filters");
  c.problem.groups = p.integer("groups");
  c.problem.window = {p.integer("kernel_h"), p.integer("kernel_w"), p.integer("stride_h"),
                      p.integer("stride_w"), p.integer("pad_top"),  p.integer("pad_bottom"),
                      p.integer("pad_left"), p.integer("pad_right")};
  c.pass = pass == "forward"         ? nn::ConvPass::forward
           : pass == "backward_data" ? nn::ConvPass::backward_data
                                     : nn::ConvPass::backward_weights;
  c.precision = dtype == "bf16" ? nn::Precision::bf16 : nn::Precision::f32;
  c.algorithm = p.text("algorithm");
  return c;
}

std::vector<Key> conv2d_keys() {
  constexpr double largest = 2147483647.0;
  const auto size = [](const char* name, std::int64_t value, const char* help) {
    return Key{name, value, help, 1.0, largest, {}};
  };
  const auto pad = [](const char* name, const char* help) {
    return Key{name, std::int64_t{1}, help, 0.0, largest, {}};
  };
  return {
      size("batch", 16, "images per repetition"),
      size("channels", 64, "channels of the input"),
      size("height", 56, "height of the input in pixels"),
      size("width", 56, "width of the input in pixels"),
      size("filters", 64, "channels of the output"),
      size("kernel_h", 3, "height of the filters in pixels"),
      size("kernel_w", 3, "width of the filters in pixels"),
      size("stride_h", 1, "pixels from one window to the next below"),
      size("stride_w", 1, "pixels from one window to the next beside"),
      pad("pad_top", "rows of zeros above the input"),
      pad("pad_bottom", "rows of zeros below the input"),
      pad("pad_left", "columns of zeros left of the input"),
      pad("pad_right", "columns of zeros right of the input"),
      size("groups", 1, "groups of channels that don't mix; = channels: depthwise"),
      {"dtype",
       std::string("f32"),
       "type of all operands; sums are f32. bf16 needs AVX512_BF16 or AMX",
       {},
       {},
       {"f32", "bf16"}},
      {"pass",
       std::string("forward"),
       "forward: the output; backward_data: gradient of the input; backward_weights: gradient of the "
       "weights",
       {},
       {},
       {"forward", "backward_data", "backward_weights"}},
      {"algorithm",
       std::string("auto"),
       "auto = the faster of direct and winograd, both tried before the run; layouts are the library's "
       "choice, conversions are not timed",
       {},
       {},
       {"auto", "direct", "winograd"}},
  };
}

std::vector<Params> conv2d_examples() {
  std::vector<Params> list;
  for (const char* pass : {"forward", "backward_data", "backward_weights"}) {
    for (const char* dtype : {"f32", "bf16"})
      for (const Numbers& numbers : example_numbers)
        list.push_back(example(numbers, dtype, pass, "direct"));
    list.push_back(example(example_numbers[1], "f32", pass, "auto"));
  }
  list.push_back(example({2, 32, 15, 13, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1}, "f32", "forward", "winograd"));
  return list;
}

std::string conv2d_validate(const Params& params) {
  const Conv2dCase c = conv2d_case(params);
  const nn::ConvProblem& p = c.problem;
  const nn::Window& window = p.window;
  for (const auto& [key, size] : {std::pair("channels", p.in.channels), std::pair("filters", p.filters)})
    if (size % p.groups != 0)
      return sentence(fmt::format("groups={} does not divide {}={}", p.groups, key, size),
                      "every group has the same share",
                      "choose groups that divides channels and filters");
  const auto too_large = [](const char* kernel, std::int64_t size, const char* of, std::int64_t padded) {
    return sentence(fmt::format("{}={} is larger than the padded input", kernel, size),
                    fmt::format("{} is {} with its padding", of, padded),
                    "choose a smaller kernel or more padding");
  };
  const std::int64_t padded_height = p.in.height + window.pad_top + window.pad_bottom;
  const std::int64_t padded_width = p.in.width + window.pad_left + window.pad_right;
  if (c.out().height < 1) return too_large("kernel_h", window.kernel_h, "height", padded_height);
  if (c.out().width < 1) return too_large("kernel_w", window.kernel_w, "width", padded_width);
  // One window fits then, whatever the stride; and the check holds a plane per stride_h × stride_w.
  const auto too_far = [](const char* stride, std::int64_t size, const char* of, std::int64_t padded) {
    return sentence(fmt::format("{}={} is larger than the padded input", stride, size),
                    fmt::format("{} is {} with its padding, there is no second window", of, padded),
                    "choose a smaller stride");
  };
  if (window.stride_h > padded_height)
    return too_far("stride_h", window.stride_h, "height", padded_height);
  if (window.stride_w > padded_width) return too_far("stride_w", window.stride_w, "width", padded_width);
  // In floating point: integers would overflow here.
  const auto product = [](std::initializer_list<std::int64_t> sizes) {
    double value = 1;
    for (const std::int64_t size : sizes) value *= static_cast<double>(size);
    return value;
  };
  const nn::Shape out = c.out();
  const double x = product({p.batch, p.in.channels, p.in.height, p.in.width});
  const double taps = product({p.in.channels / p.groups, window.kernel_h, window.kernel_w});
  const double y = product({p.batch, out.channels, out.height, out.width});
  if (const double most = std::max({x, static_cast<double>(p.filters) * taps, 2 * y * taps});
      most > 9e18)
    return sentence("the case is too large",
                    fmt::format("{:.1e} values or FLOP; the limit is 9e18", most),
                    "choose a smaller batch, height, width, channels or filters");
  return {};
}

// The same count for every pass; taps that fall on padding are included, as DeepBench does.
Cost conv2d_cost(const Params& params, double held_bytes) {
  const Conv2dCase c = conv2d_case(params);
  const nn::ConvProblem& p = c.problem;
  const auto x = static_cast<double>(c.count(Conv2dOperand::x)),
             w = static_cast<double>(c.count(Conv2dOperand::w)),
             y = static_cast<double>(c.count(Conv2dOperand::y));
  const std::int64_t taps = p.in.channels / p.groups * p.window.kernel_h * p.window.kernel_w;
  // The check holds all three operands in canonical f32.
  return {.flops = 2 * y * static_cast<double>(taps),
          .bytes_touched = element_bytes(c) * (x + w + y),
          .bytes_sent = 0,
          .memory_bytes = std::max(held_bytes, element_bytes(c) * (x + w + y)),
          .check_bytes = 4 * (x + w + y),
          .items = 0};
}

std::vector<Roof> conv2d_roofs(const Params& params) {
  Roof fma{"fma", {}};
  fma.params.set("dtype", params.text("dtype"));
  return {fma, Roof{"triad", {}}};
}

}  // namespace dlscale
