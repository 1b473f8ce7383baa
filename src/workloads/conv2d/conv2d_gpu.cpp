// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/conv2d/conv2d_gpu.hpp"

#include "nn/gpu_memory.hpp"
#include "workloads/gpu_workload.hpp"

namespace dlscale {
namespace {

std::vector<Key> keys() {
  std::vector<Key> list = conv2d_keys();
  for (Key& key : list) {
    if (key.name == "dtype") {
      key.help =
          "type of all operands; sums are f32. tf32: f32 of which products see 10 bits of the mantissa; "
          "f32 is computed without";
      key.choices = {"f32", "tf32", "bf16"};
    }
    if (key.name == "algorithm")
      key.help =
          "auto and direct = the fastest of cuDNN's deterministic ones, timed before the run, without "
          "Winograd's; winograd = Winograd's if cuDNN has it";
  }
  list.push_back({"layout",
                  std::string("auto"),
                  "of images and filters: nhwc = channels next to one another; auto = the faster one",
                  {},
                  {},
                  {"auto", "nhwc", "nchw"}});
  return list;
}

// cuDNN need not have Winograd's for the shape that the CPU's example asks for.
std::vector<Params> examples() {
  std::vector<Params> list;
  for (Params params : conv2d_examples()) {
    if (params.text("algorithm") == "winograd") continue;
    params.set("layout", std::string("auto"));
    list.push_back(params);
  }
  const std::size_t first = list.size();
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    for (const char* layout : {"nhwc", "nchw"}) {
      list.push_back(list[i]);
      list.back().set("layout", std::string(layout));
    }
    list.push_back(list[i]);
    list.back().set("dtype", std::string("tf32"));
  }
  list[first].set("algorithm", std::string("auto"));
  return list;
}

std::string validate(const Params& params) {
  if (params.text("algorithm") == "winograd" && params.text("dtype") != "f32")
    return sentence("algorithm = winograd can't be used with dtype = " + params.text("dtype"),
                    "its tolerance is known for f32 only", "use algorithm = auto");
  return conv2d_validate(params);
}

Cost cost(const Params& params, int, int) {
  const Conv2dCase c = conv2d_case(params);
  const Conv2dPadded padded = conv2d_padded(c.problem);
  Cost cost = conv2d_cost(params, 0);
  const double value = c.precision == nn::Precision::bf16 ? 2 : 4;
  cost.memory_bytes =
      value * (static_cast<double>(c.problem.batch) * static_cast<double>(padded.in.count()) +
               static_cast<double>(c.count(Conv2dOperand::w)) +
               static_cast<double>(c.count(Conv2dOperand::y))) +
      nn::gpu_workspace_bytes;
  return cost;
}

std::vector<Roof> roofs(const Params& params) {
  if (params.text("dtype") == "f32") return conv2d_roofs(params);
  return {Roof{"triad", {}}};
}

}  // namespace

Conv2dPadded conv2d_padded(const nn::ConvProblem& problem) {
  Conv2dPadded p{problem.in, problem.window};
  nn::Window& w = p.window;
  if (w.pad_top == w.pad_bottom && w.pad_left == w.pad_right) return p;
  p.in.height += w.pad_top + w.pad_bottom;
  p.in.width += w.pad_left + w.pad_right;
  w.pad_top = w.pad_bottom = w.pad_left = w.pad_right = 0;
  return p;
}

Entry conv2d_cuda_entry() {
  Entry entry;
  entry.name = "conv2d";
  entry.variant = "cuda";
  entry.description = "one pass of a 2D convolution on every GPU by itself, through cuDNN";
  entry.rate = RateKind::flops;
  entry.keys = keys();
  entry.examples = examples;
  entry.validate = validate;
  entry.cost = cost;
  entry.roofs = roofs;
  entry.make = [](const WorkContext& context) { return make_on_gpu("conv2d", context); };
  return entry;
}

}  // namespace dlscale
