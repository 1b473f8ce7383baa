// SPDX-License-Identifier: BSD-3-Clause
// The distributed product on 1 to 4 ranks: every grid and transpose, data that do not depend on the
// grid.
#include <cmath>
#include <vector>

#include "comm/agreement.hpp"
#include "device/random.hpp"
#include "dlscale_catch.hpp"
#include "pdgemm_cases.hpp"
#include "workloads/pdgemm/scalapack.hpp"

using namespace dlscale;

namespace {

// P×Q = ranks, all of them, and those that leave ranks out.
std::vector<std::string> grids(int ranks) {
  std::vector<std::string> list;
  for (int rows = 1; rows <= ranks; ++rows)
    for (int cols = 1; rows * cols <= ranks; ++cols)
      list.push_back(std::to_string(rows) + "x" + std::to_string(cols));
  return list;
}

// What is wrong with one case on this rank; empty when nothing is.
template <class T>
std::string failure_of_case(const Params& params) {
  PdgemmCpu<T> product(pdgemm_context(params));
  product.prepare();
  product.run();
  product.run();
  const Check check = product.verify();
  if (!check.passed()) return "error " + to_text(check.error) + " of " + to_text(check.tolerance);
  return {};
}

}  // namespace

TEST_CASE("pdgemm: every grid and transpose, blocks that don't divide", "[pdgemm]") {
  const Communicator& world = test_session().world();
  for (const std::string& grid : grids(world.size()))
    for (const char* trans : {"NN", "NT", "TN", "TT"})
      for (const auto& [m, n, k, block] :
           {std::array{53, 47, 61, 5}, std::array{3, 2, 200, 16}, std::array{90, 70, 2, 32}}) {
        Params params = pdgemm_params(m, n, k, "f64");
        params.set("grid", grid);
        params.set("trans_a", std::string(1, trans[0]));
        params.set("trans_b", std::string(1, trans[1]));
        params.set("beta", -0.5);
        for (const char* key : {"mb", "nb", "kb"}) params.set(key, std::int64_t{block});
        params.set("kb", std::int64_t{block + 2});
        params.set("logical_block", std::int64_t{k > 100 ? 24 : 0});
        const std::string what = failure_of_case<double>(params);
        const Agreement all = agree(world, what.empty(), what);
        CAPTURE(grid, trans, m, n, k, all.rank, all.message);
        CHECK(all.ok);
      }
}

TEST_CASE("pdgemm: what ranks hold is ScaLAPACK's, complete, and the same on every grid", "[pdgemm]") {
  const Communicator& world = test_session().world();
  for (const std::string& grid : grids(world.size())) {
    Params params = pdgemm_params(37, 29, 41, "f64");
    params.set("grid", grid);
    params.set("trans_b", std::string("T"));
    PdgemmCpu<double> product(pdgemm_context(params));
    product.prepare();
    for (const GemmOperand operand : {GemmOperand::a, GemmOperand::b}) {
      const auto& m = product.matrix(operand);
      const std::uint64_t key = stream_key(pdgemm_seed, static_cast<std::uint64_t>(operand));
      std::int64_t wrong = 0, index = 0, held = 0;
      if (product.in_grid()) {
        for (const Dealt& d : {m.rows, m.cols}) {
          const int n = static_cast<int>(d.count), nb = static_cast<int>(d.block), first = 0;
          CHECK(d.local() == numroc_(&n, &nb, &d.part, &first, &d.parts));
        }
        held = m.rows.local() * m.cols.local();
        CHECK(m.data.size() == static_cast<std::size_t>(held));
        for (std::int64_t j = 0; j < m.cols.local(); ++j)
          for (std::int64_t i = 0; i < m.rows.local(); ++i) {
            const std::int64_t at = m.rows.global(i) + m.cols.global(j) * m.rows.count;
            wrong += m.data.data()[index++] != uniform_at(key, static_cast<std::uint64_t>(at));
          }
      }
      CHECK(wrong == 0);
      CHECK(sum_over_ranks(world, held) == 41 * (operand == GemmOperand::a ? 37 : 29));
    }
  }
}

TEST_CASE("pdgemm: grids are chosen by volume, and what does not fit is said", "[pdgemm]") {
  const auto is = [](const ProcessGrid& g, int rows, int cols) {
    return g.rows == rows && g.cols == cols;
  };
  CHECK(is(best_grid(100, 100, 1), 1, 1));
  CHECK(is(best_grid(100, 100, 2), 1, 2));
  CHECK(is(best_grid(100, 100, 7), 1, 7));
  CHECK(is(best_grid(100, 100, 12), 3, 4));
  CHECK(is(best_grid(100, 100, 64), 8, 8));
  CHECK(is(best_grid(100000, 10, 12), 12, 1));  // all of B is less than a part of A
  CHECK(is(best_grid(400, 100, 16), 8, 2));

  Params params = pdgemm_params(1000, 1000, 1000, "f64");
  CHECK(pdgemm_unsuited(params, 3).empty());
  params.set("grid", std::string("2x2"));
  CHECK(pdgemm_unsuited(params, 4).empty());
  CHECK(pdgemm_unsuited(params, 3).find("grid 2x2 needs 4 ranks, the case has 3") == 0);
  for (const char* bad : {"", "2", "x", "2x", "x2", "0x1", "-1x2", "2x2x2", "2X2", "axb", "auto "}) {
    params.set("grid", std::string(bad));
    CAPTURE(bad);
    CHECK_FALSE(pdgemm_validate(params).empty());
  }
}

TEST_CASE("pdgemm: work and memory of the three scalings", "[pdgemm]") {
  Params params = pdgemm_params(4096, 4096, 4096, "f64");
  const auto cost = [&](const char* scaling, int ranks) {
    params.set("scaling", std::string(scaling));
    return pdgemm_cost(params, ranks, 1);
  };
  const double flops = 2.0 * 4096 * 4096 * 4096;
  CHECK(cost("strong", 1).flops == flops);
  CHECK(cost("strong", 16).flops == flops);
  CHECK(cost("weak_work", 1).flops == flops);
  CHECK(cost("weak_work", 64).flops == 64 * flops);
  CHECK(cost("weak_work", 12).flops / 12 == Approx(flops).epsilon(1e-3));
  CHECK(cost("weak_memory", 16).flops == 64 * flops);
  CHECK(cost("weak_memory", 16).bytes_touched == 16 * cost("weak_memory", 1).bytes_touched);
  CHECK(cost("strong", 1).bytes_sent == 0);
  CHECK(cost("strong", 4).bytes_sent == 8.0 * 2 * 4096 * 4096);  // 2×2: A and B once more
  const double matrices = 8.0 * 3 * 4096 * 4096;
  CHECK(cost("strong", 4).memory_bytes > matrices / 4);
  CHECK(cost("strong", 4).memory_bytes < 1.3 * matrices / 4);
  CHECK(cost("strong", 1).memory_bytes < 1.1 * matrices);
  CHECK(cost("weak_memory", 16).memory_bytes ==
        Approx(cost("weak_memory", 4).memory_bytes).epsilon(0.05));
}
