// SPDX-License-Identifier: BSD-3-Clause
#include "workloads/conv2d/conv2d_kernel.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dlscale {
namespace {

namespace dnn = nn::onednn;

constexpr const char* asking = "asking for a convolution";

/// Everything about a pass that does not depend on the descriptor's kind.
template <class Descriptor>
Conv2dImplementation implementation(const Descriptor& descriptor, const std::string& algorithm) {
  Conv2dImplementation found;
  found.algorithm = algorithm;
  found.name = descriptor.impl_info_str();
  found.scratch = descriptor.scratchpad_desc();
  found.make = [descriptor] { return dnnl::primitive(descriptor); };
  return found;
}

std::optional<dnn::ConvForward> forward(const dnn::ConvFacts& facts, dnn::Type type,
                                        dnn::Algorithm algorithm) {
  return dnn::conv_forward(dnn::Prop::forward_training, algorithm, facts, dnn::any(facts.src, type),
                           dnn::any(facts.weights, type), {}, dnn::any(facts.dst, type));
}

}  // namespace

std::optional<Conv2dImplementation> find_conv2d(const Conv2dCase& c, const std::string& algorithm) {
  const nn::ConvProblem& p = c.problem;
  const dnn::ConvFacts facts = dnn::conv_facts(p.batch, p.in, p.filters, p.groups, p.window);
  const dnn::Type type = dnn::type_of(c.precision);
  const dnn::Desc x = dnn::any(facts.src, type), w = dnn::any(facts.weights, type),
                  y = dnn::any(facts.dst, type);
  const auto direct = dnn::Algorithm::convolution_direct;
  const auto wanted = algorithm == "winograd" ? dnn::Algorithm::convolution_winograd : direct;

  if (c.pass == nn::ConvPass::forward) {
    const auto found = forward(facts, type, wanted);
    if (!found) return std::nullopt;
    Conv2dImplementation all = implementation(*found, algorithm);
    all.x = found->src_desc(), all.w = found->weights_desc(), all.y = found->dst_desc();
    all.x_argument = DNNL_ARG_SRC, all.w_argument = DNNL_ARG_WEIGHTS, all.y_argument = DNNL_ARG_DST;
    return all;
  }
  // The hint only says what a forward pass would do; it need not be of the same algorithm.
  auto hint = forward(facts, type, wanted);
  if (!hint) hint = forward(facts, type, direct);
  if (!hint) return std::nullopt;
  if (c.pass == nn::ConvPass::backward_data) {
    const auto found = dnn::conv_backward_data(wanted, facts, x, w, y, *hint);
    if (!found) return std::nullopt;
    Conv2dImplementation all = implementation(*found, algorithm);
    all.x = found->diff_src_desc(), all.w = found->weights_desc(), all.y = found->diff_dst_desc();
    all.x_argument = DNNL_ARG_DIFF_SRC, all.w_argument = DNNL_ARG_WEIGHTS;
    all.y_argument = DNNL_ARG_DIFF_DST;
    return all;
  }
  const auto found = dnn::conv_backward_weights(wanted, facts, x, w, {}, y, *hint);
  if (!found) return std::nullopt;
  Conv2dImplementation all = implementation(*found, algorithm);
  all.x = found->src_desc(), all.w = found->diff_weights_desc(), all.y = found->diff_dst_desc();
  all.x_argument = DNNL_ARG_SRC, all.w_argument = DNNL_ARG_DIFF_WEIGHTS;
  all.y_argument = DNNL_ARG_DIFF_DST;
  return all;
}

double conv2d_held_bytes(const Conv2dCase& c, int threads) {
  dnn::set_threads(threads);  // scratch is divided among them
  double most = 0;
  dnn::call(asking, [&] {
    for (const char* algorithm : conv2d_algorithms) {
      if (c.algorithm != "auto" && c.algorithm != algorithm) continue;
      const auto found = find_conv2d(c, algorithm);
      if (!found) continue;
      const std::size_t bytes = dnn::bytes_of(found->x) + dnn::bytes_of(found->w) +
                                dnn::bytes_of(found->y) + dnn::bytes_of(found->scratch);
      most = std::max(most, static_cast<double>(bytes));
    }
  });
  std::int64_t drawn = 0;
  for (const Conv2dOperand operand : {Conv2dOperand::x, Conv2dOperand::w, Conv2dOperand::y})
    if (operand != c.result()) drawn = std::max(drawn, c.count(operand));
  return most + 4 * static_cast<double>(drawn);
}

std::string conv2d_unavailable(const Params& params) {
  const Conv2dCase c = conv2d_case(params);
  if (std::string problem = nn::precision_problem(c.precision); !problem.empty()) return problem;
  bool found = false;
  dnn::call(asking, [&] {
    for (const char* algorithm : conv2d_algorithms)
      if (c.algorithm == "auto" || c.algorithm == algorithm)
        found = found || find_conv2d(c, algorithm).has_value();
  });
  if (found) return {};
  // Also where the user holds the library to older instructions (ONEDNN_MAX_CPU_ISA).
  return fmt::format("{} has no {}{} implementation of this case", dnn::library_facts(),
                     c.algorithm == "auto" ? "" : c.algorithm + " ", params.text("dtype"));
}

}  // namespace dlscale
