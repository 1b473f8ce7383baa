// SPDX-License-Identifier: BSD-3-Clause
// Wrong must fail, on the ranks that hold the wrong rows, and nowhere else.
#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "comm/agreement.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "pdgemm_cases.hpp"

using namespace dlscale;

namespace {

constexpr std::int64_t side = 240;

/// A product that was run, and what it left.
template <class T>
struct Planted {
  explicit Planted(const Params& params) : product(pdgemm_context(params)) {
    product.prepare();
    product.run();
    clean = product.verify();  // the first one also runs again
    good.assign(c().begin(), c().end());
  }
  std::span<T> c() { return product.matrix(GemmOperand::c).data.span(); }
  const Dealt& rows() { return product.matrix(GemmOperand::c).rows; }
  const Dealt& cols() { return product.matrix(GemmOperand::c).cols; }

  /// Local element of a global one, or nullptr when another rank holds it.
  T* at(std::int64_t i, std::int64_t j) {
    if (!product.in_grid()) return nullptr;
    const auto row_list = rows().globals(), col_list = cols().globals();
    const auto row = std::find(row_list.begin(), row_list.end(), i);
    const auto col = std::find(col_list.begin(), col_list.end(), j);
    if (row == row_list.end() || col == col_list.end()) return nullptr;
    return &c()[static_cast<std::size_t>((col - col_list.begin()) * rows().local() +
                                         (row - row_list.begin()))];
  }
  bool holds_row(std::int64_t i) {
    const auto list = rows().globals();
    return product.in_grid() && std::find(list.begin(), list.end(), i) != list.end();
  }

  /// Damages C, and says whether this rank's verdict was `expected` (true: passed); mends C again.
  bool judged(const std::function<void()>& damage, bool expected) {
    damage();
    const bool passed = product.verify().passed();
    std::copy(good.begin(), good.end(), c().begin());
    return passed == expected;
  }

  PdgemmCpu<T> product;
  Check clean;
  std::vector<T> good;
};

void require_on_all(bool ok, const std::string& what) {
  const Communicator& world = test_session().world();
  const Agreement all = agree(world, ok, what);
  CAPTURE(what, all.rank, world.size());
  CHECK(all.ok);
}

// Takes away what the columns first … first + width − 1 of op(A) contribute.
template <class T>
void skip_panel(Planted<T>& p, std::int64_t first, std::int64_t width) {
  const std::uint64_t a = stream_key(pdgemm_seed, static_cast<std::uint64_t>(GemmOperand::a)),
                      b = stream_key(pdgemm_seed, static_cast<std::uint64_t>(GemmOperand::b));
  std::size_t index = 0;
  for (const std::int64_t j : p.cols().globals())
    for (const std::int64_t i : p.rows().globals()) {
      double sum = 0;
      for (std::int64_t l = first; l < first + width; ++l)
        sum += uniform_at(a, static_cast<std::uint64_t>(i + l * side)) *
               uniform_at(b, static_cast<std::uint64_t>(l + j * side));
      p.c()[index++] -= static_cast<T>(sum);
    }
}

template <class T>
void plant_and_check(const std::string& grid, double beta) {
  Params params = pdgemm_params(side, side, side, sizeof(T) == 8 ? "f64" : "f32");
  params.set("grid", grid);
  params.set("beta", beta);
  if (!pdgemm_unsuited(params, test_session().world().size()).empty()) return;
  Planted<T> p(params);
  const std::string where = " (grid " + grid + ", beta " + to_text(beta) + ")";
  require_on_all(p.clean.passed(), "a clean run passes" + where);
  // A check that sees no rounding at all looks at the wrong numbers.
  require_on_all(!p.product.in_grid() || p.clean.error > 0, "rounding is seen" + where);
  const bool in_grid = p.product.in_grid();

  require_on_all(p.judged([&] { skip_panel(p, 16, 8); }, !in_grid), "skipped k-panel" + where);
  const auto tile = [&](T value) {
    for (std::int64_t j = 24; j < 32; ++j)
      for (std::int64_t i = 40; i < 48; ++i)
        if (T* element = p.at(i, j)) *element = value;
  };
  require_on_all(p.judged([&] { tile(0); }, !p.holds_row(40)), "unwritten tile" + where);
  require_on_all(p.judged([&] { tile(std::numeric_limits<T>::quiet_NaN()); }, !p.holds_row(40)),
                 "tile of NaN" + where);
  require_on_all(p.judged(
                     [&] {
                       for (std::int64_t j = 0; j < side; ++j)
                         if (T* x = p.at(3, j)) std::swap(*x, *p.at(5, j));
                     },
                     !p.holds_row(3)),
                 "swapped rows" + where);
  for (const T wrong : {T{0.02F}, std::numeric_limits<T>::infinity()})
    require_on_all(p.judged(
                       [&] {
                         if (T* element = p.at(side - 1, side - 2)) *element += wrong;
                       },
                       !p.holds_row(side - 1)),
                   "one wrong element" + where);
  require_on_all(p.judged(
                     [&] {
                       if (T* element = p.at(7, 200)) *element = std::numeric_limits<T>::quiet_NaN();
                     },
                     !p.holds_row(7)),
                 "one NaN" + where);
  require_on_all(p.judged([&] { std::fill(p.c().begin(), p.c().end(), T{0}); }, !in_grid),
                 "all zero" + where);
  require_on_all(p.judged([] {}, true), "the undamaged one passes again" + where);
}

}  // namespace

TEST_CASE("pdgemm: planted errors are caught, f64", "[pdgemm]") {
  for (const char* grid : {"auto", "2x1", "1x1"}) plant_and_check<double>(grid, 0);
  plant_and_check<double>("auto", 0.5);
}

TEST_CASE("pdgemm: planted errors are caught, f32", "[pdgemm]") {
  plant_and_check<float>("auto", 0);
  plant_and_check<float>("auto", -1);
}

TEST_CASE("pdgemm: a wrong operand is caught where the case is small", "[pdgemm]") {
  // The residual takes A as it is; the loop over elements knows what A should be.
  Planted<double> p(pdgemm_params(50, 40, 60, "f64"));
  double* a = p.product.matrix(GemmOperand::a).data.data();
  if (test_session().world().rank() == 0) a[0] = -a[0];
  p.product.run();
  const Check check = p.product.verify();
  const std::int64_t failed = sum_over_ranks(test_session().world(), check.passed() ? 0 : 1);
  CHECK(failed >= 1);
}

TEST_CASE("pdgemm: repetitions with beta compound; one too few is caught", "[pdgemm]") {
  Params params = pdgemm_params(side, side, side, "f64");
  params.set("beta", -1.0);
  params.set("alpha", 0.5);
  Planted<double> p(params);
  p.product.reset();
  p.product.run();
  const std::vector<double> once(p.c().begin(), p.c().end());
  p.product.run();
  require_on_all(p.product.verify().passed(), "two repetitions");
  std::copy(once.begin(), once.end(), p.c().begin());
  require_on_all(p.product.verify().passed() == !p.product.in_grid(), "one too few");
}
