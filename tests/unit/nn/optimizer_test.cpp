// SPDX-License-Identifier: BSD-3-Clause
#include "nn/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "nn/optimizer_kernels.hpp"
#include "reference_tools.hpp"
#include "topflight_fixture.hpp"

using namespace dlscale;
using namespace dlscale::nn;
using namespace dlscale::nn::tools;

namespace {

OptimizerOptions adam(double lr, double decay) {
  OptimizerOptions options;
  options.lr = lr;
  options.weight_decay = decay;
  return options;
}

OptimizerOptions sgd(double lr, double momentum, double decay) {
  OptimizerOptions options;
  options.kind = OptimizerKind::sgd;
  options.lr = lr;
  options.momentum = momentum;
  options.weight_decay = decay;
  return options;
}

struct State {
  Floats w, g, a, b;
};
State random_state(std::int64_t count) {
  State s{random_floats(count, 1), random_floats(count, 2), random_floats(count, 3),
          random_floats(count, 4)};
  for (float& v : s.b) v = std::fabs(v) * 0.1F;
  return s;
}

void step(const OptimizerOptions& options, std::int64_t t, float scale, State& s, std::size_t from,
          std::size_t to) {
  const auto part = [&](Floats& v) { return std::span(v).subspan(from, to - from); };
  optimizer_step(options, t, scale, part(s.w), part(s.g), part(s.a), part(s.b));
}

}  // namespace

TEST_CASE("Adam and SGD on given gradients are PyTorch's") {
  const TopflightFixture fixture;
  const auto run = [&](const OptimizerOptions& options, const char* name) {
    State s;
    s.w = fixture.uniform(3100, 37);
    s.a.resize(37);
    s.b.resize(37);
    for (int t = 0; t < 5; ++t) {
      s.g = fixture.uniform(3000 + static_cast<std::uint64_t>(t), 37);
      for (int i = 0; i < 37; ++i) s.g[i] = std::ldexp(s.g[i], -4 * (i % 8));
      step(options, t + 1, 1, s, 0, 37);
    }
    const std::vector<double>& wanted = fixture.record(name);
    REQUIRE(wanted.size() == 37);
    for (std::size_t i = 0; i < 37; ++i) {
      INFO(name << " element " << i);
      // Five steps in f32 against float64: each rounds the weight by u = 6e-8 at most, and its own step,
      // which is some 20 times smaller: √5 u and more to spare, absolutely for weights near zero.
      CHECK(static_cast<double>(s.w[i]) == Approx(wanted[i]).epsilon(2e-7).margin(1e-7));
    }
  };
  run(adam(0.01, 0), "adam");
  run(adam(0.01, 0.01), "adam_decay");
  run(sgd(0.05, 0.9, 0.01), "sgd_decay");
}

TEST_CASE("every instruction set computes the optimisers as float64 does") {
  const std::int64_t count = 4096;
  const double lr = 0.02, decay = 0.03, momentum = 0.9, b1 = 0.8, b2 = 0.97, epsilon = 1e-3;
  REQUIRE_FALSE(available_optimizer_kernels().empty());
  for (const OptimizerKernels& kernels : available_optimizer_kernels()) {
    OptimizerStep shared;
    shared.scale = 0.25F;
    shared.decay = static_cast<float>(decay);
    shared.rate = static_cast<float>(lr);
    shared.momentum = static_cast<float>(momentum);
    State s = random_state(count);
    const State old = s;
    kernels.sgd(shared, count, s.w.data(), s.g.data(), s.a.data());
    // 2 u of the largest value on the way, `size`: of the few operations two round at that size.
    const auto close = [&](float got, double wanted, double size) {
      return std::fabs(static_cast<double>(got) - wanted) <= 0x1p-23 * size;
    };
    for (std::int64_t i = 0; i < count; ++i) {
      const double w = old.w[i], g = 0.25 * static_cast<double>(old.g[i]) + decay * w;
      const double v = momentum * static_cast<double>(old.a[i]) + g;
      INFO(kernels.name << " sgd " << i);
      REQUIRE(close(s.a[i], v, 1));
      REQUIRE(close(s.w[i], w - lr * v, std::fabs(w) + lr));
    }
    s = old;
    shared.first_step = true;
    s.a.assign(s.a.size(), std::numeric_limits<float>::quiet_NaN());  // not read
    kernels.sgd(shared, count, s.w.data(), s.g.data(), s.a.data());
    for (std::int64_t i = 0; i < count; ++i)
      REQUIRE(close(s.a[i], 0.25 * static_cast<double>(old.g[i]) + decay * static_cast<double>(old.w[i]),
                    1));
    Floats without = old.w;
    kernels.sgd(shared, count, without.data(), s.g.data(), nullptr);
    CHECK(without == s.w);

    s = old;
    shared.beta1 = static_cast<float>(b1);
    shared.one_minus_beta1 = static_cast<float>(1 - b1);
    shared.beta2 = static_cast<float>(b2);
    shared.one_minus_beta2 = static_cast<float>(1 - b2);
    shared.root = 0.5F;
    shared.epsilon = static_cast<float>(epsilon);
    kernels.adam(shared, count, s.w.data(), s.g.data(), s.a.data(), s.b.data());
    for (std::int64_t i = 0; i < count; ++i) {
      const double w = old.w[i], g = 0.25 * static_cast<double>(old.g[i]) + decay * w;
      const double m = b1 * static_cast<double>(old.a[i]) + (1 - b1) * g;
      const double v = b2 * static_cast<double>(old.b[i]) + (1 - b2) * g * g;
      const double below = std::sqrt(v) / 0.5 + epsilon;
      INFO(kernels.name << " adam " << i);
      REQUIRE(close(s.a[i], m, 1));
      REQUIRE(close(s.b[i], v, 2 * v));
      REQUIRE(close(s.w[i], w - lr * m / below, std::fabs(w) + 4 * lr / below));
    }
  }
}

TEST_CASE("tails are exact, and cuts at multiples of 16 change no bit") {
  for (const OptimizerOptions& options :
       {adam(1e-2, 0.1), adam(1e-3, 0), sgd(0.1, 0, 0), sgd(0.1, 0.9, 0.01)})
    for (const std::size_t count : {1, 2, 15, 16, 17, 31, 33, 100, 997}) {
      State whole = random_state(static_cast<std::int64_t>(count) + 5), cut = whole, single = whole;
      const State old = whole;
      step(options, 3, 0.5F, whole, 0, count);
      for (std::size_t at = 0; at < count; at += 48)
        step(options, 3, 0.5F, cut, at, std::min(count, at + 48));
      for (std::size_t at = 0; at < count; ++at) step(options, 3, 0.5F, single, at, at + 1);
      CHECK(whole.w == cut.w);
      CHECK(whole.w == single.w);
      CHECK(whole.a == cut.a);
      CHECK(whole.b == single.b);
      CHECK(std::equal(old.w.begin() + static_cast<std::ptrdiff_t>(count), old.w.end(),
                       whole.w.begin() + static_cast<std::ptrdiff_t>(count)));
      CHECK_FALSE(std::equal(old.w.begin(), old.w.begin() + static_cast<std::ptrdiff_t>(count),
                             whole.w.begin()));
    }
}

TEST_CASE("NaN in a gradient stays, and only there") {
  for (const OptimizerOptions& options : {adam(1e-2, 0), sgd(0.1, 0, 0), sgd(0.1, 0.9, 0)})
    for (const std::size_t at : {std::size_t{3}, std::size_t{35}}) {
      State s = random_state(37);
      s.g[at] = std::numeric_limits<float>::quiet_NaN();
      step(options, 2, 1, s, 0, 37);
      for (std::size_t i = 0; i < 37; ++i) CHECK(std::isnan(s.w[i]) == (i == at));
    }
}

TEST_CASE("state that is missing is refused; what is not needed may be empty") {
  Floats w(8, 1.0F), g(8, 1.0F), state(8);
  CHECK(state_values(adam(1, 0)) == 2);
  CHECK(state_values(sgd(1, 0.9, 0)) == 1);
  CHECK(state_values(sgd(1, 0, 0)) == 0);
  CHECK_THROWS_AS(optimizer_step(adam(1, 0), 1, 1, w, g, state, {}), Error);
  CHECK_THROWS_AS(optimizer_step(sgd(1, 0.9, 0), 1, 1, w, g, {}, {}), Error);
  CHECK_THROWS_AS(optimizer_step(adam(1, 0), 0, 1, w, g, state, state), Error);
  optimizer_step(sgd(0.5, 0, 0), 1, 2, w, g, {}, {});
  CHECK(w == Floats(8, 0.0F));
  optimizer_step(sgd(0.5, 0, 0), 1, 1, {}, {}, {}, {});
}
