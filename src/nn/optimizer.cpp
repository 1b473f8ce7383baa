// SPDX-License-Identifier: BSD-3-Clause
#include "nn/optimizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.hpp"
#include "nn/optimizer_kernels.hpp"

namespace dlscale::nn {
namespace {

constexpr std::int64_t lanes = 16;  // a multiple of every kernel's vector
using Piece = std::array<float, lanes>;

}  // namespace

OptimizerStep optimizer_constants(const OptimizerOptions& o, std::int64_t step, float scale) {
  OptimizerStep s;
  s.scale = scale;
  s.decay = static_cast<float>(o.weight_decay);
  s.first_step = step == 1;
  s.momentum = static_cast<float>(o.momentum);
  s.rate = static_cast<float>(o.lr);
  if (o.kind == OptimizerKind::sgd) return s;
  const auto t = static_cast<double>(step);
  s.rate = static_cast<float>(o.lr / (1 - std::pow(o.beta1, t)));
  s.root = static_cast<float>(std::sqrt(1 - std::pow(o.beta2, t)));
  s.epsilon = static_cast<float>(o.epsilon);
  s.beta1 = static_cast<float>(o.beta1);
  s.one_minus_beta1 = static_cast<float>(1 - o.beta1);
  s.beta2 = static_cast<float>(o.beta2);
  s.one_minus_beta2 = static_cast<float>(1 - o.beta2);
  return s;
}

int state_values(const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::adam) return 2;
  return options.momentum == 0 ? 0 : 1;
}

bool optimizer_step(const OptimizerOptions& options, std::int64_t step, float scale,
                    std::span<float> parameters, std::span<const float> gradients,
                    std::span<float> first, std::span<float> second) {
  const int states = state_values(options);
  const std::size_t size = parameters.size();
  if (step < 1 || gradients.size() != size || (states > 0 && first.size() != size) ||
      (states > 1 && second.size() != size))
    throw Error(ExitCode::case_failed, "optimizer_step: parameters, gradients and state do not match");
  const OptimizerStep shared = optimizer_constants(options, step, scale);
  const OptimizerKernels& kernels = available_optimizer_kernels().front();
  const auto apply = [&](std::int64_t count, float* w, const float* g, float* a, float* b) {
    return options.kind == OptimizerKind::sgd
               ? kernels.sgd(shared, count, w, g, states > 0 ? a : nullptr)
               : kernels.adam(shared, count, w, g, a, b);
  };
  const auto whole = static_cast<std::int64_t>(size) / lanes * lanes;
  const auto rest = static_cast<std::int64_t>(size) - whole;
  bool finite = true;
  if (whole > 0) finite = apply(whole, parameters.data(), gradients.data(), first.data(), second.data());
  if (rest == 0) return finite;

  // The tail goes through the same instructions, so that its bits do not depend on where it lies.
  Piece w{}, g{}, a{}, b{};
  const auto in = [&](const float* from, Piece& to) { std::copy_n(from + whole, rest, to.begin()); };
  in(parameters.data(), w);
  in(gradients.data(), g);
  if (states > 0) in(first.data(), a);
  if (states > 1) in(second.data(), b);
  finite = apply(lanes, w.data(), g.data(), a.data(), b.data()) && finite;
  std::copy_n(w.begin(), rest, parameters.data() + whole);
  if (states > 0) std::copy_n(a.begin(), rest, first.data() + whole);
  if (states > 1) std::copy_n(b.begin(), rest, second.data() + whole);
  return finite;
}

}  // namespace dlscale::nn
